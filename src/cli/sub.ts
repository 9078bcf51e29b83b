// `portico sub`: prints what is published to topics.
import type { Command } from 'commander';
import { QUIET_MS, type Shown } from './channel.ts';
import { failBecause, openChannel, placeOf } from './channels.ts';
import { complain, dim, EXIT, fail } from './output.ts';
import { addSignIn, type SignInFlags, signedIn } from './sign-in.ts';
import { addTls } from './tls-flags.ts';

interface SubFlags extends SignInFlags {
  readonly after?: string;
  readonly count?: string;
  readonly qos: string;
  readonly json?: boolean;
  readonly retainedOnly?: boolean;
}

export function addSub(program: Command): void {
  const command = program
    .command('sub')
    .description("print messages: portico sub 'mqtt://127.0.0.1/sensors/#'")
    .argument('<url>', 'scheme://[user[:password]@]host[:port]/filter')
    .option('--after <cursor>', 'begin with the history behind this cursor; 0 for all of it')
    .option('--count <n>', 'end after so many messages')
    .option('--qos <0|1|2>', 'how surely they are to arrive', '1')
    .option('--retained-only', 'print the values that are retained now, and end (not over tcp: and udp:)')
    .option('--json', 'print one JSON line a message, with its cursor');
  addTls(addSignIn(command)).action((url: string, flags: SubFlags) => sub(url, flags));
}

/** Reads a QoS. Ends the command when it is none. */
export function qosOf(text: string): 0 | 1 | 2 {
  if (text === '0' || text === '1' || text === '2') return Number(text) as 0 | 1 | 2;
  return fail(`--qos is ${text}; it is 0, 1 or 2`, EXIT.usage);
}

/** Reads a flag's number; null when it was not given. Ends the command when it is none. */
export function numberOf(name: string, text: string | undefined): number | null {
  if (text === undefined) return null;
  if (/^\d+$/.test(text)) return Number(text);
  return fail(`--${name} is ${text}; it is a whole number`, EXIT.usage);
}

async function sub(url: string, flags: SubFlags): Promise<void> {
  const place = placeOf(url, flags);
  const after = numberOf('after', flags.after);
  let left = numberOf('count', flags.count) ?? Number.POSITIVE_INFINITY;
  const retainedOnly = flags.retainedOnly === true;
  if (retainedOnly && (place.scheme === 'tcp' || place.scheme === 'udp'))
    fail(
      `--retained-only needs mqtt:, http:, sse: or ws:, since ${place.scheme}: does not tell which values are retained`,
      EXIT.usage,
    );
  try {
    const channel = await openChannel(await signedIn(place, flags));
    const stop = () => channel.close();
    const quiet = retainedOnly ? setTimeout(stop, QUIET_MS) : undefined;
    process.on('SIGINT', stop);
    process.on('SIGTERM', stop);
    await channel.subscribe(
      place.topic,
      { after, qos: qosOf(flags.qos) },
      {
        message(message) {
          if (left <= 0 || (retainedOnly && message.retained !== true)) return;
          quiet?.refresh();
          process.stdout.write(flags.json === true ? asJson(message) : asText(message));
          if (--left === 0) stop();
        },
        gap(text) {
          if (flags.json === true) process.stdout.write(`${JSON.stringify({ gap: text })}\n`);
          else complain(`a part of the history is not there any more (${text})`);
        },
      },
    );
    await channel.closed;
  } catch (error) {
    failBecause(error);
  }
  process.exit(EXIT.ok);
}

/** Bytes that are not text are shown as base64, and said to be. */
export function textOf(payload: Buffer): string | null {
  const text = payload.toString('utf8');
  return Buffer.from(text).equals(payload) ? text : null;
}

function asText({ topic, payload }: Shown): string {
  const text = textOf(payload);
  return `${topic} ${text ?? `${dim('base64')} ${payload.toString('base64')}`}\n`;
}

export function asJson({ topic, payload, retained, cursor }: Shown): string {
  const text = textOf(payload);
  const body = text === null ? { base64: payload.toString('base64') } : { payload: text };
  return `${JSON.stringify({ topic, ...body, ...(retained === null ? {} : { retained }), ...(cursor === null ? {} : { cursor }) })}\n`;
}
