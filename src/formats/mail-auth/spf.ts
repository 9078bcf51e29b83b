// SPF (RFC 7208): whether a host may send for a domain, by the record of that domain and the names it leads to, within the bounds of
// §4.6.4.
import { ipv6From } from '../dns/records.ts';
import type { DnsFind, DnsFound } from './lookup.ts';

export type SpfWord = 'pass' | 'fail' | 'softfail' | 'neutral' | 'none' | 'temperror' | 'permerror';

export interface SpfResult {
  readonly result: SpfWord;
  readonly why: string;
  /** Whose record it is, and what was checked: the reverse path, or the greeting where that is empty. */
  readonly domain: string;
  readonly identity: 'mailfrom' | 'helo';
  /** What the domain has to say of a fail; `''` for nothing. */
  readonly explanation: string;
}

export interface SpfQuery {
  /** Of who connected. */
  readonly ip: string;
  readonly helo: string;
  /** The reverse path; `''` for none. */
  readonly from: string;
  /** Who checks. */
  readonly receiver: string;
}

const LOOKUPS_MAX = 10;
const VOIDS_MAX = 2;
const NAMES_MAX = 10;
const RECORD_MAX = 8_192;

/** It cannot be gone on with: the record is broken, or DNS does not answer. */
class Halt extends Error {
  readonly result: 'permerror' | 'temperror';

  constructor(result: 'permerror' | 'temperror', why: string) {
    super(why);
    this.result = result;
  }
}

export async function checkSpf(query: SpfQuery, find: DnsFind): Promise<SpfResult> {
  const { helo, from } = query;
  const identity = from === '' ? 'helo' : 'mailfrom';
  const sender = from === '' ? `postmaster@${helo}` : from.includes('@') ? from : `postmaster@${from}`;
  const domain = sender
    .slice(sender.lastIndexOf('@') + 1)
    .toLowerCase()
    .replace(/\.$/, '');
  const ip = plainIp(query.ip);
  if (isIP(ip) === 0 || !isName(domain))
    return { result: 'none', why: 'there is no domain to ask', domain, identity, explanation: '' };
  const check = new Check({ ...query, ip }, sender, find);
  try {
    const { result, explanation } = await check.host(domain, true);
    return { result, why: check.why, domain, identity, explanation };
  } catch (error) {
    if (!(error instanceof Halt)) throw error;
    return { result: error.result, why: error.message, domain, identity, explanation: '' };
  }
}

function plainIp(ip: string): string {
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(ip)?.[1] ?? ip;
}

/** At least two labels, each of a length that can be asked for (RFC 7208 §4.3). */
function isName(domain: string): boolean {
  const labels = domain.split('.');
  return domain.length <= 253 && labels.length >= 2 && labels.every((label) => label.length > 0 && label.length <= 63);
}

interface Term {
  readonly qualifier: string;
  readonly name: string;
  /** Behind a colon, with what stands before a slash. */
  readonly value: string;
  readonly bits: readonly [four: number, six: number];
}

const WORDS: Readonly<Record<string, SpfWord>> = { '+': 'pass', '-': 'fail', '~': 'softfail', '?': 'neutral' };
const MECHANISMS = new Set(['all', 'include', 'a', 'mx', 'ptr', 'ip4', 'ip6', 'exists']);

class Check {
  why = '';
  private readonly query: SpfQuery;
  private readonly sender: string;
  private readonly find: DnsFind;
  private lookups = 0;
  private voids = 0;
  /** Names of the client by PTR, once they were asked for. */
  private names: Promise<readonly string[]> | null = null;

  constructor(query: SpfQuery, sender: string, find: DnsFind) {
    this.query = query;
    this.sender = sender;
    this.find = find;
  }

  /** `check_host` (RFC 7208 §4). */
  async host(domain: string, isFirst: boolean): Promise<{ result: SpfWord; explanation: string }> {
    const { kind, values } = await this.find(domain, 'TXT');
    if (kind === 'failed') throw new Halt('temperror', `DNS does not answer for ${domain}`);
    const records = values.filter((value) => /^v=spf1(?: |$)/i.test(value));
    if (records.length === 0) return { result: 'none', explanation: '' };
    if (records.length > 1) throw new Halt('permerror', `${domain} has ${records.length} records`);
    const { terms, redirect, explain } = readRecord(records[0]!);
    for (const term of terms) {
      if (!(await this.matches(term, domain))) continue;
      const result = WORDS[term.qualifier]!;
      this.why = `${term.qualifier === '+' ? '' : term.qualifier}${term.name}${term.value === '' ? '' : `:${term.value}`} of ${domain}`;
      const explanation = result === 'fail' && isFirst && explain !== null ? await this.explain(explain, domain) : '';
      return { result, explanation };
    }
    if (redirect === null) return { result: 'neutral', explanation: '' };
    this.count();
    const next = await this.expand(redirect, domain);
    const found = isName(next) ? await this.host(next, isFirst) : { result: 'none' as const, explanation: '' };
    if (found.result === 'none') throw new Halt('permerror', `${domain} redirects to ${next}, which has no record`);
    return found;
  }

  private count(): void {
    if (++this.lookups > LOOKUPS_MAX)
      throw new Halt('permerror', `more than ${LOOKUPS_MAX} names have to be asked for`);
  }

  /** Asks for what a record names; that there is nothing is counted too. */
  private async ask(name: string, type: 'A' | 'AAAA' | 'MX'): Promise<DnsFound> {
    const found = await this.find(name, type);
    if (found.kind === 'failed') throw new Halt('temperror', `DNS does not answer for ${name}`);
    if (found.values.length === 0 && ++this.voids > VOIDS_MAX)
      throw new Halt('permerror', `more than ${VOIDS_MAX} names are not there`);
    return found;
  }

  private async matches({ name, value, bits }: Term, domain: string): Promise<boolean> {
    switch (name) {
      case 'all':
        return true;
      case 'ip4':
      case 'ip6':
        return this.isWithin(value, bits);
      case 'include':
        return this.includes(await this.target(value, domain));
      case 'a':
        return this.isAt(await this.target(value, domain), bits);
      case 'mx':
        return this.isMx(await this.target(value, domain), bits);
      case 'exists': {
        const target = await this.target(value, domain);
        return isName(target) && (await this.ask(target, 'A')).values.length > 0;
      }
      default:
        return this.isNamed(await this.target(value, domain));
    }
  }

  private async target(value: string, domain: string): Promise<string> {
    this.count();
    return value === '' ? domain : this.expand(value, domain);
  }

  private async includes(target: string): Promise<boolean> {
    const { result } = isName(target) ? await this.host(target, false) : { result: 'none' };
    // RFC 7208 §5.2.
    if (result === 'none') throw new Halt('permerror', `${target} is included, and has no record`);
    return result === 'pass';
  }

  private async isAt(name: string, bits: Term['bits']): Promise<boolean> {
    if (!isName(name)) return false;
    const { values } = await this.ask(name, isIP(this.query.ip) === 4 ? 'A' : 'AAAA');
    return values.some((address) => this.isWithin(address, bits));
  }

  private async isMx(name: string, bits: Term['bits']): Promise<boolean> {
    if (!isName(name)) return false;
    const { values } = await this.ask(name, 'MX');
    const hosts = values.map((value) => value.split(' ')[1]!.replace(/\.$/, '')).filter((host) => host !== '');
    if (hosts.length > NAMES_MAX) throw new Halt('permerror', `${name} has more than ${NAMES_MAX} hosts for mail`);
    for (const host of hosts) {
      const found = await this.find(host, isIP(this.query.ip) === 4 ? 'A' : 'AAAA');
      if (found.kind === 'failed') throw new Halt('temperror', `DNS does not answer for ${host}`);
      if (found.values.some((address) => this.isWithin(address, bits))) return true;
    }
    return false;
  }

  /** `ptr`, which nobody should use (RFC 7208 §5.5). */
  private async isNamed(target: string): Promise<boolean> {
    const names = await this.validated();
    return names.some((name) => name === target.toLowerCase() || name.endsWith(`.${target.toLowerCase()}`));
  }

  /** Names of the client that lead back to it. */
  private validated(): Promise<readonly string[]> {
    this.names ??= (async () => {
      const { ip } = this.query;
      const { values } = await this.find(reverseName(ip), 'PTR');
      const names: string[] = [];
      for (const value of values.slice(0, NAMES_MAX)) {
        const name = value.toLowerCase().replace(/\.$/, '');
        const found = await this.find(name, isIP(ip) === 4 ? 'A' : 'AAAA');
        if (found.values.some((address) => this.isWithin(address, [32, 128]))) names.push(name);
      }
      return names;
    })();
    return this.names;
  }

  private isWithin(address: string, [four, six]: Term['bits']): boolean {
    const own = octetsOf(this.query.ip)!;
    const other = octetsOf(address);
    if (other === null || other.length !== own.length) return false;
    const bits = other.length === 4 ? four : six;
    for (let at = 0; at < bits; at++) {
      const mask = 0x80 >> (at & 7);
      if (((own[at >> 3]! ^ other[at >> 3]!) & mask) !== 0) return false;
    }
    return true;
  }

  private async explain(text: string, domain: string): Promise<string> {
    const name = await this.expand(text, domain);
    const { values } = isName(name) ? await this.find(name, 'TXT') : { values: [] };
    if (values.length !== 1) return '';
    try {
      const said = await this.expand(values[0]!, domain, true);
      return /^[\x20-\x7e]*$/.test(said) ? said : '';
    } catch (error) {
      if (error instanceof Halt) return '';
      throw error;
    }
  }

  /** Macros (RFC 7208 §7). */
  private async expand(text: string, domain: string, isExplanation = false): Promise<string> {
    let out = '';
    let last = 0;
    for (const found of text.matchAll(/%(?:%|_|-|\{([a-z])(\d{0,3})(r?)([.\-+,/_=]*)\}|.?)/gi)) {
      out += text.slice(last, found.index);
      last = found.index + found[0].length;
      const [all, letter, digits = '', reversed = '', delimiters = ''] = found;
      if (all === '%%') out += '%';
      else if (all === '%_') out += ' ';
      else if (all === '%-') out += '%20';
      else if (letter === undefined || (!isExplanation && /[crt]/i.test(letter)))
        throw new Halt('permerror', `${text} has a macro that is none`);
      else out += await this.macro(letter, digits, reversed !== '', delimiters, domain);
    }
    out += text.slice(last);
    if (isExplanation) return out;
    // Too long a name is cut on the left (RFC 7208 §7.3).
    while (out.length > 253 && out.includes('.')) out = out.slice(out.indexOf('.') + 1);
    return out.replace(/\.$/, '');
  }

  private async macro(letter: string, digits: string, isReversed: boolean, delimiters: string, domain: string) {
    const count = digits === '' ? 128 : Number(digits);
    if (count === 0) throw new Halt('permerror', 'a macro takes no part of its value');
    const value = await this.valueOf(letter.toLowerCase(), domain);
    const separators = new RegExp(`[${(delimiters || '.').replace(/[\\\]^-]/g, '\\$&')}]`);
    const parts = value.split(separators);
    const made = (isReversed ? parts.reverse() : parts).slice(-count).join('.');
    return letter === letter.toUpperCase() ? encodeURIComponent(made) : made;
  }

  private async valueOf(letter: string, domain: string): Promise<string> {
    const { ip, helo, receiver } = this.query;
    const at = this.sender.lastIndexOf('@');
    switch (letter) {
      case 's':
        return this.sender;
      case 'l':
        return this.sender.slice(0, at);
      case 'o':
        return this.sender.slice(at + 1);
      case 'd':
        return domain;
      case 'i':
        return isIP(ip) === 4 ? ip : nibbles(ip).join('.');
      case 'v':
        return isIP(ip) === 4 ? 'in-addr' : 'ip6';
      case 'h':
        return helo;
      case 'p': {
        const names = await this.validated();
        return names.find((name) => name === domain || name.endsWith(`.${domain}`)) ?? names[0] ?? 'unknown';
      }
      case 'c':
        return ip;
      case 'r':
        return receiver;
      case 't':
        return '0';
      default:
        throw new Halt('permerror', `there is no macro ${letter}`);
    }
  }
}

function readRecord(record: string): { terms: readonly Term[]; redirect: string | null; explain: string | null } {
  if (record.length > RECORD_MAX) throw new Halt('permerror', 'the record is too long');
  const terms: Term[] = [];
  let redirect: string | null = null;
  let explain: string | null = null;
  for (const word of record.split(/ +/).slice(1)) {
    if (word === '') continue;
    const modifier = /^([a-z][\w.-]*)=(.*)$/i.exec(word);
    if (modifier !== null) {
      const name = modifier[1]!.toLowerCase();
      if ((name === 'redirect' && redirect !== null) || (name === 'exp' && explain !== null))
        throw new Halt('permerror', `${name} is there twice`);
      if (name === 'redirect') redirect = modifier[2]!;
      else if (name === 'exp') explain = modifier[2]!;
    } else terms.push(readTerm(word));
  }
  // Behind `all` nothing is looked at, a redirect neither (RFC 7208 §6.1).
  if (terms.some(({ name }) => name === 'all')) redirect = null;
  return { terms, redirect, explain };
}

function readTerm(word: string): Term {
  const broken = () => new Halt('permerror', `${word} is no mechanism`);
  const parts = /^([+\-~?]?)([a-z][a-z0-9]*)(?::([^/]*(?:\/(?!\d*(?:\/|$))[^/]*)*))?((?:\/\d+)?(?:\/\/\d+)?)$/i.exec(
    word,
  );
  if (parts === null) throw broken();
  const [, qualifier = '', given = '', value = '', bits = ''] = parts;
  const name = given.toLowerCase();
  if (!MECHANISMS.has(name)) throw broken();
  const [, four, six] = /^(?:\/(\d+))?(?:\/\/(\d+))?$/.exec(bits)!;
  if (name === 'ip4' || name === 'ip6') {
    const most = name === 'ip4' ? 32 : 128;
    const length = four === undefined ? most : Number(four);
    if (isIP(value) !== (name === 'ip4' ? 4 : 6) || six !== undefined || length > most || isPadded(four))
      throw broken();
    return { qualifier: qualifier || '+', name, value, bits: [length, length] };
  }
  const takesBits = name === 'a' || name === 'mx';
  const needsValue = name === 'include' || name === 'exists';
  const hasColon = word.includes(':');
  if ((bits !== '' && !takesBits) || (needsValue && value === '') || (hasColon && value === '')) throw broken();
  if (name === 'all' && hasColon) throw broken();
  if (Number(four ?? 0) > 32 || Number(six ?? 0) > 128 || isPadded(four) || isPadded(six)) throw broken();
  return { qualifier: qualifier || '+', name, value, bits: [Number(four ?? 32), Number(six ?? 128)] };
}

function isPadded(digits: string | undefined): boolean {
  return digits !== undefined && digits.length > 1 && digits.startsWith('0');
}

function reverseName(ip: string): string {
  return isIP(ip) === 4
    ? `${ip.split('.').reverse().join('.')}.in-addr.arpa`
    : `${nibbles(ip).reverse().join('.')}.ip6.arpa`;
}

/** All 32 of an IPv6 address. */
function nibbles(ip: string): string[] {
  return [...Buffer.from(octetsOf(ip)!).toString('hex')];
}

function octetsOf(ip: string): Uint8Array | null {
  if (!/^\d{1,3}(?:\.\d{1,3}){3}$/.test(ip)) return ip.includes(':') ? ipv6From(ip) : null;
  const octets = ip.split('.').map(Number);
  return octets.every((octet) => octet < 256) ? Uint8Array.from(octets) : null;
}

/** 4, 6, or 0 for no address. */
function isIP(text: string): 0 | 4 | 6 {
  const octets = octetsOf(text);
  return octets === null ? 0 : octets.length === 4 ? 4 : 6;
}
