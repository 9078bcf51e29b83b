// What is asked of `portico dig`, in the words of dig: `@server`, name, type, class, `-x`, and queries' options with a `+`.
import { domainToASCII } from 'node:url';
import { nameFrom } from '../formats/dns/name.ts';
import { CLASS, classFrom, TYPE, typeFrom } from '../formats/dns/records.ts';
import type { Carrier } from '../protocols/dns/resolver-servers.ts';
import { addressOctets } from '../resources/names/networks.ts';

export interface DigFlags {
  readonly port?: string;
  readonly type?: string;
  readonly class?: string;
  readonly query?: string;
  readonly reverse?: string;
  readonly 4?: boolean;
  readonly 6?: boolean;
}

/** What of an answer is printed. */
export interface Shown {
  command: boolean;
  comments: boolean;
  question: boolean;
  answer: boolean;
  authority: boolean;
  additional: boolean;
  stats: boolean;
  ttl: boolean;
  class: boolean;
  query: boolean;
}

export interface DigPlan {
  server: string;
  port: number | null;
  carrier: Carrier;
  path: string;
  family: 4 | 6 | null;
  /** As it is asked, absolute. */
  name: Uint8Array;
  type: number;
  class: number;
  short: boolean;
  json: boolean;
  trace: boolean;
  recursion: boolean;
  authoritative: boolean;
  authentic: boolean;
  checkingDisabled: boolean;
  dnssec: boolean;
  edns: boolean;
  version: number;
  bufferBytes: number;
  nsid: boolean;
  /** Null for none; empty for one of our own making. */
  cookie: Uint8Array | null;
  subnet: Uint8Array | null;
  padding: number;
  ignoresTruncation: boolean;
  timeoutMs: number;
  tries: number;
  tlsName: string | null;
  shown: Shown;
}

/** A command line that is none; the message says why. */
export class DigUsageError extends Error {}

const ALL: Shown = {
  ...{ command: true, comments: true, question: true, answer: true, authority: true, additional: true, stats: true },
  ...{ ttl: true, class: true, query: false },
};

export function planOf(words: readonly string[], flags: DigFlags): DigPlan {
  const plan: DigPlan = {
    ...{ server: '', port: null, carrier: 'udp', path: '/dns-query', family: flags[4] ? 4 : flags[6] ? 6 : null },
    ...{ name: Uint8Array.of(0), type: TYPE.A, class: CLASS.IN, short: false, json: false, trace: false },
    ...{ recursion: true, authoritative: false, authentic: true, checkingDisabled: false, dnssec: false },
    ...{ edns: true, version: 0, bufferBytes: 1_232, nsid: false, cookie: new Uint8Array(0), subnet: null },
    ...{ padding: 0, ignoresTruncation: false, timeoutMs: 5_000, tries: 3, tlsName: null, shown: { ...ALL } },
  };
  const rest: string[] = [];
  for (const word of words) {
    if (word.startsWith('@')) plan.server = word.slice(1);
    else if (word.startsWith('+')) option(plan, word.slice(1));
    else rest.push(word);
  }
  if (flags.port !== undefined) plan.port = number('-p', flags.port, 1, 65_535);
  question(plan, rest, flags);
  if (plan.server !== '') server(plan);
  return plan;
}

function number(what: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least || value > most)
    throw new DigUsageError(`${what} is a number from ${least} to ${most}, and not ${text}`);
  return value;
}

/** The first word that is neither type nor class is the name; the last of each counts. */
function question(plan: DigPlan, words: readonly string[], flags: DigFlags): void {
  let name = flags.query ?? null;
  let typed = false;
  for (const word of words) {
    const type = typeFrom(word);
    const qclass = classFrom(word);
    if (type >= 0 && words.length > 1) {
      plan.type = type;
      typed = true;
    } else if (qclass >= 0 && words.length > 1) plan.class = qclass;
    else if (name === null) name = word;
    else throw new DigUsageError(`${word} is neither a type nor a class; one name is asked for at a time`);
  }
  if (flags.type !== undefined) {
    plan.type = typeFrom(flags.type);
    if (plan.type < 0) throw new DigUsageError(`${flags.type} is not a type of records`);
    typed = true;
  }
  if (flags.class !== undefined) {
    plan.class = classFrom(flags.class);
    if (plan.class < 0) throw new DigUsageError(`${flags.class} is not a class`);
  }
  if (flags.reverse !== undefined) {
    name = reverseOf(flags.reverse);
    if (!typed) plan.type = TYPE.PTR;
  }
  // As dig: nothing asked is the servers of the root.
  if (name === null) {
    name = '.';
    if (!typed) plan.type = TYPE.NS;
  }
  const ascii = [...name].some((letter) => letter > '\x7f') ? domainToASCII(name) : name;
  const wire = nameFrom(ascii.endsWith('.') ? ascii : `${ascii}.`);
  if (wire === null) throw new DigUsageError(`${name} is not a domain name`);
  plan.name = wire;
  // There is no transfer over UDP.
  if (plan.type === TYPE.AXFR && plan.carrier === 'udp') plan.carrier = 'tcp';
}

/** `192.0.2.1` as `1.2.0.192.in-addr.arpa`, and the same for IPv6 (RFC 1035 §3.5, RFC 3596 §2.5). */
export function reverseOf(address: string): string {
  const octets = addressOctets(address);
  if (octets === null) throw new DigUsageError(`${address} is not an address`);
  if (octets.length === 4) return `${[...octets].reverse().join('.')}.in-addr.arpa`;
  return `${[...Buffer.from(octets).toString('hex')].reverse().join('.')}.ip6.arpa`;
}

/** `@tls://9.9.9.9`, `@https://dns.example/dns-query` and `@[::1]:5300` say more than where. */
function server(plan: DigPlan): void {
  const found = /^(udp|tcp|tls|https|quic):\/\/(.+)$/i.exec(plan.server);
  let rest = plan.server;
  if (found !== null) {
    plan.carrier = found[1]!.toLowerCase() as Carrier;
    rest = found[2]!;
    const slash = rest.indexOf('/');
    if (slash >= 0) {
      if (plan.carrier === 'https') plan.path = rest.slice(slash);
      rest = rest.slice(0, slash);
    }
  }
  const parts = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(rest);
  if (parts === null) {
    plan.server = rest;
    return;
  }
  plan.server = parts[1] ?? parts[2]!;
  if (parts[3] !== undefined && plan.port === null) plan.port = number('a port', parts[3], 1, 65_535);
}

type Set = (plan: DigPlan, on: boolean, value: string) => void;

/** Options by name, and what each does; dig's own names, and those by which kdig knows them. */
const OPTIONS: Readonly<Record<string, Set>> = {
  short: (plan, on) => {
    plan.short = on;
  },
  json: (plan, on) => {
    plan.json = on;
  },
  trace: (plan, on) => {
    plan.trace = on;
    plan.dnssec ||= on;
  },
  tcp: (plan, on) => {
    plan.carrier = on ? 'tcp' : 'udp';
  },
  tls: (plan, on) => {
    plan.carrier = on ? 'tls' : 'udp';
  },
  quic: (plan, on) => {
    plan.carrier = on ? 'quic' : 'udp';
  },
  https: (plan, on, value) => {
    plan.carrier = on ? 'https' : 'udp';
    if (value !== '') plan.path = value;
  },
  'tls-hostname': (plan, _on, value) => {
    plan.tlsName = value === '' ? null : value;
  },
  recurse: (plan, on) => {
    plan.recursion = on;
  },
  aaflag: (plan, on) => {
    plan.authoritative = on;
  },
  adflag: (plan, on) => {
    plan.authentic = on;
  },
  cdflag: (plan, on) => {
    plan.checkingDisabled = on;
  },
  dnssec: (plan, on) => {
    plan.dnssec = on;
    plan.edns ||= on;
  },
  edns: (plan, on, value) => {
    plan.edns = on;
    if (value !== '') plan.version = number('+edns', value, 0, 255);
  },
  bufsize: (plan, _on, value) => {
    plan.bufferBytes = number('+bufsize', value, 0, 65_535);
    plan.edns = true;
  },
  nsid: (plan, on) => {
    plan.nsid = on;
    plan.edns ||= on;
  },
  cookie: (plan, on, value) => {
    if (!/^(?:[\da-f]{2})*$/i.test(value)) throw new DigUsageError(`+cookie is hexadecimal, and not ${value}`);
    plan.cookie = on ? Buffer.from(value, 'hex') : null;
  },
  subnet: (plan, on, value) => {
    plan.subnet = on ? subnetOf(value) : null;
    plan.edns ||= on;
  },
  padding: (plan, on, value) => {
    plan.padding = on ? (value === '' ? 128 : number('+padding', value, 1, 512)) : 0;
  },
  ignore: (plan, on) => {
    plan.ignoresTruncation = on;
  },
  time: (plan, _on, value) => {
    plan.timeoutMs = number('+time', value, 1, 3_600) * 1_000;
  },
  tries: (plan, _on, value) => {
    plan.tries = number('+tries', value, 1, 100);
  },
  retry: (plan, _on, value) => {
    plan.tries = number('+retry', value, 0, 99) + 1;
  },
  all: (plan, on) => {
    const { shown } = plan;
    shown.comments =
      shown.question =
      shown.answer =
      shown.authority =
      shown.additional =
      shown.stats =
      shown.command =
        on;
  },
  cmd: (plan, on) => {
    plan.shown.command = on;
  },
  comments: (plan, on) => {
    plan.shown.comments = on;
  },
  question: (plan, on) => {
    plan.shown.question = on;
  },
  answer: (plan, on) => {
    plan.shown.answer = on;
  },
  authority: (plan, on) => {
    plan.shown.authority = on;
  },
  additional: (plan, on) => {
    plan.shown.additional = on;
  },
  stats: (plan, on) => {
    plan.shown.stats = on;
  },
  ttlid: (plan, on) => {
    plan.shown.ttl = on;
  },
  class: (plan, on) => {
    plan.shown.class = on;
  },
  qr: (plan, on) => {
    plan.shown.query = on;
  },
};

const OTHER_NAMES: Readonly<Record<string, string>> = {
  ...{ vc: 'tcp', do: 'dnssec', rec: 'recurse', rdflag: 'recurse', aa: 'aaflag', aaonly: 'aaflag', ad: 'adflag' },
  ...{ cd: 'cdflag', timeout: 'time', cl: 'class', ttl: 'ttlid', 'tls-host': 'tls-hostname' },
};

/** The names of all options, for the help and the page. */
export const OPTION_NAMES: readonly string[] = Object.keys(OPTIONS);

function option(plan: DigPlan, text: string): void {
  const equals = text.indexOf('=');
  const said = (equals < 0 ? text : text.slice(0, equals)).toLowerCase();
  const value = equals < 0 ? '' : text.slice(equals + 1);
  const known = (name: string) => OPTIONS[OTHER_NAMES[name] ?? name];
  const set = known(said) ?? (said.startsWith('no') ? known(said.slice(2)) : undefined);
  if (set === undefined)
    throw new DigUsageError(`+${said} is no option; there are ${OPTION_NAMES.map((name) => `+${name}`).join(' ')}`);
  set(plan, known(said) !== undefined, value);
}

/** A client subnet as EDNS has it: family, prefix, scope, octets (RFC 7871 §6). */
function subnetOf(text: string): Uint8Array {
  const [address = '', bits] = text.split('/');
  const octets = addressOctets(address);
  if (octets === null) throw new DigUsageError(`+subnet is like 192.0.2.0/24, and not ${text}`);
  const most = octets.length * 8;
  const prefix = bits === undefined ? most : number('a prefix', bits, 0, most);
  const kept = octets.slice(0, (prefix + 7) >>> 3);
  if (prefix % 8 !== 0) kept[kept.length - 1]! &= 0xff00 >>> (prefix % 8);
  return Uint8Array.from([0, octets.length === 4 ? 1 : 2, prefix, 0, ...kept]);
}
