// `portico watch`: what every connection of a running server says, frame by frame, as the server's own codecs read it.
import type { Command } from 'commander';
import type { FrameSaid, Greeting, Said, WatchAsk } from '../control/words.ts';
import type { Piece } from '../core/tap.ts';
import type { SecuredSeen } from '../inspector/seen.ts';
import { PROTOCOLS } from '../protocols.ts';
import { addPlaceFlags, type PlaceFlags } from './configured.ts';
import { askControl, controlPlace, durationOf } from './control-call.ts';
import { kernelText } from './kernel-text.ts';
import { blue, bold, complain, cyan, dim, EXIT, fail, green, red, visible, yellow } from './output.ts';
import { numberOf } from './sub.ts';

interface WatchFlags extends PlaceFlags {
  readonly protocol?: string;
  readonly connection?: string;
  readonly topic?: string;
  readonly from?: string;
  readonly bytes?: boolean;
  readonly kernel?: boolean;
  readonly verbose?: boolean;
  readonly json?: boolean;
  readonly for?: string;
}

export function addWatch(program: Command): void {
  addPlaceFlags(program.command('watch').description('show what connections say, as it happens'))
    .option('--protocol <name>', 'only connections of this protocol: http1, mqtt, lines, websocket, …')
    .option('--connection <number>', 'only this connection')
    .option('--topic <filter>', 'only frames that name a topic of this filter')
    .option('--from <address>', 'only connections from this address, with or without its port')
    .option('--bytes', 'show the bytes of frames, secrets left out')
    .option('--kernel', 'show each second what the kernel says of connections: round trips, what was sent again')
    .option('--verbose', 'show the fields of frames')
    .option('--json', 'print one JSON line an event')
    .option('--for <time>', 'end after this time: 500ms, 10s, 2m, 1h')
    .action((flags: WatchFlags) => watch(flags));
}

async function watch(flags: WatchFlags): Promise<void> {
  const connection = numberOf('connection', flags.connection);
  const limit = durationOf('for', flags.for);
  const path = await controlPlace(flags);
  const ask: WatchAsk = {
    ask: 'watch',
    ...(flags.protocol === undefined ? {} : { protocol: protocolOf(flags.protocol) }),
    ...(connection === null ? {} : { connection }),
    ...(flags.topic === undefined ? {} : { topic: flags.topic }),
    ...(flags.from === undefined ? {} : { from: flags.from }),
    bytes: flags.bytes === true,
    kernel: flags.kernel === true,
    pieces: flags.verbose === true || flags.json === true,
  };
  let ended = false;
  // Before the first line is heard: what a reader of ours does not take is not taken from the server either.
  let hold = (): void => {};
  const call = {
    said(said: Exclude<Said, Greeting>) {
      if ('error' in said) fail(said.error, EXIT.usage);
      if ('event' in said && said.event === 'end') ended = true;
      const text = flags.json === true ? jsonOf(said) : textOf(said);
      if (text !== '' && !process.stdout.write(text)) hold();
    },
    closed() {
      if (!ended) fail('the server went away', EXIT.unavailable);
      process.exit(EXIT.ok);
    },
  };
  const held = await askControl(path, ask, call);
  hold = () => {
    held.pause();
    process.stdout.once('drain', () => held.resume());
  };
  const stop = () => {
    ended = true;
    held.end();
  };
  if (limit !== null) setTimeout(stop, limit);
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
}

/** Of no protocol yet, and of whatever the server itself reached. */
const NAMELESS = ['shared', 'reach'];

/** The name that connections of a protocol go by. Ends the command when there can be none. */
function protocolOf(name: string): string {
  if (name === 'http') return 'http1';
  const known = PROTOCOLS.filter(({ listens }) =>
    listens.some(({ on }) => on === 'tcp' || on === 'udp' || on === 'quic'),
  ).map((one) => one.name);
  const names = [...known, 'websocket', ...NAMELESS];
  if (names.includes(name) || /^wire-/.test(name)) return name;
  if (PROTOCOLS.some((one) => one.name === name))
    return fail(`${name} is spoken within http1 and websocket; watch those, with --topic perhaps`, EXIT.usage);
  return fail(`--protocol ${name} is not known; there are ${names.join(', ')}`, EXIT.usage);
}

function jsonOf(said: Exclude<Said, Greeting>): string {
  return 'event' in said ? `${JSON.stringify(said)}\n` : '';
}

function textOf(said: Exclude<Said, Greeting>): string {
  if ('answer' in said) {
    if (process.stdout.isTTY) complain('watching; Ctrl-C ends it');
    return '';
  }
  if (!('event' in said)) return '';
  if (said.event === 'lost') return `${yellow(`… ${said.events} events were not shown: this reader is too slow`)}\n`;
  if (said.event === 'end') return `${dim(`the server ended (${said.why})`)}\n`;
  const { at, connection, protocol } = said;
  const head = `${dim(timeOf(at))} ${bold(`#${connection}`.padEnd(5))} ${visible(protocol).padEnd(9)}`;
  switch (said.event) {
    case 'opened':
      return `${head} ${green(said.late ? 'stands' : 'opened')}  from ${said.from} over ${said.carrier} to ${said.to}\n`;
    case 'layer':
      return `${head} ${green('speaks')}  ${visible(protocol)}\n`;
    case 'secured':
      return `${head} ${green('secured')} ${securedText(said)}\n`;
    case 'frame':
      return `${head} ${frameText(said)}`;
    case 'fault':
      return `${head} ${red('fault')}   ${said.fault}: ${said.text} (${said.spec})\n`;
    case 'effect':
      return `${head} ${said.verb} ${visible(said.path)}: ${said.outcome}\n`;
    case 'skipped':
      return `${head} ${yellow('skipped')} ${said.bytes} bytes ${said.direction === 'in' ? 'that came in' : 'that went out'}: too many to be read\n`;
    case 'closed':
      return `${head} ${green('closed')}  ${said.cause}${said.kernel === undefined ? '' : `  ${dim(kernelText(said.kernel))}`}\n`;
    case 'kernel':
      return `${head} ${green('kernel')}  ${kernelText(said.kernel)}\n`;
  }
}

function securedText({ version, cipher, alpn, serverName, resumed, certificate }: SecuredSeen): string {
  const name = serverName === null ? '' : ` for ${visible(serverName)}`;
  const spoken = alpn === null ? '' : `, ALPN ${visible(alpn)}`;
  return `${version} ${cipher}${name}${spoken}${resumed ? ', resumed' : ''}${certificate ? ', with a certificate' : ''}`;
}

function frameText({ direction, size, summary, pieces, bytes }: FrameSaid): string {
  const arrow = direction === 'in' ? cyan('→') : blue('←');
  let text = `${arrow} ${dim(`${size} B`.padStart(7))} ${visible(summary)}\n`;
  if (pieces !== undefined) text += tree(pieces, '    ');
  if (bytes !== undefined) text += dump(bytes);
  return text;
}

function tree(pieces: readonly Piece[], indent: string): string {
  return pieces
    .map(({ label, value, start, end, pieces: inner }) => {
      const line = `${indent}${dim(`${start}-${end}`.padEnd(9))} ${visible(label)}: ${visible(value)}\n`;
      return inner === undefined ? line : line + tree(inner, `${indent}  `);
    })
    .join('');
}

/** Sixteen bytes a line: the offset, in hex, and as text. */
function dump(hex: string): string {
  const pairs = hex.match(/[\da-f]{2}|··/g) ?? [];
  let text = '';
  for (let at = 0; at < pairs.length; at += 16) {
    const row = pairs.slice(at, at + 16);
    const plain = row.map((pair) => {
      const code = Number.parseInt(pair, 16);
      return code >= 0x20 && code < 0x7f ? String.fromCharCode(code) : '·';
    });
    text += `    ${dim(at.toString(16).padStart(4, '0'))}  ${row.join(' ').padEnd(47)}  ${plain.join('')}\n`;
  }
  return hex.endsWith('…') ? `${text}    …\n` : text;
}

/** The time of day here, with milliseconds. */
function timeOf(at: number): string {
  const date = new Date(at);
  const two = (value: number) => String(value).padStart(2, '0');
  const ms = String(date.getMilliseconds()).padStart(3, '0');
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${ms}`;
}
