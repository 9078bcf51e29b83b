// `portico pub`: publishes to a topic.
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Command } from 'commander';
import type { Channel, PublishOptions } from './channel.ts';
import { failBecause, openChannel, placeOf } from './channels.ts';
import { EXIT, fail } from './output.ts';
import { addSignIn, type SignInFlags, signedIn } from './sign-in.ts';
import { numberOf, qosOf } from './sub.ts';
import { addTls } from './tls-flags.ts';

interface PubFlags extends SignInFlags {
  readonly file?: string;
  readonly lines?: boolean;
  readonly retain?: boolean;
  readonly qos: string;
  readonly count?: string;
  readonly contentType?: string;
  readonly json?: boolean;
}

export function addPub(program: Command): void {
  const command = program
    .command('pub')
    .description('publish a message: portico pub mqtt://127.0.0.1/sensors/a 21.5')
    .argument('<url>', 'scheme://[user[:password]@]host[:port]/topic')
    .argument('[payload]', 'the message; without it, --file or --lines, standard input is one message')
    .option('--file <path>', 'the message is a file')
    .option('--lines', 'each line of standard input is a message')
    .option('--retain', 'keep it as the value that new subscribers are given first')
    .option('--qos <0|1|2>', 'how surely it is to arrive', '1')
    .option('--count <n>', 'publish it so many times')
    .option('--content-type <type>', 'what the payload is, as in text/plain')
    .option('--json', 'print one JSON line a message');
  addTls(addSignIn(command)).action((url: string, payload: string | undefined, flags: PubFlags) =>
    pub(url, payload, flags),
  );
}

async function pub(url: string, payload: string | undefined, flags: PubFlags): Promise<void> {
  const place = placeOf(url, flags);
  if ([payload, flags.file, flags.lines].filter((given) => given !== undefined).length > 1)
    fail('give the payload as an argument, or --file, or --lines: one of them', EXIT.usage);
  const options = { retain: flags.retain === true, qos: qosOf(flags.qos), contentType: flags.contentType ?? '' };
  const count = numberOf('count', flags.count) ?? 1;
  if (flags.lines === true && flags.count !== undefined)
    fail('--count goes with one message, not with --lines', EXIT.usage);
  const whole = flags.lines === true ? null : read(payload, flags.file);
  try {
    const channel = await openChannel(await signedIn(place, flags));
    if (whole !== null)
      for (let left = count; left > 0; left--) await send(channel, place.topic, whole, options, flags);
    else await sendLines(channel, place.topic, options, flags);
    channel.close();
    await channel.closed;
  } catch (error) {
    failBecause(error);
  }
  process.exit(EXIT.ok);
}

function read(payload: string | undefined, file: string | undefined): Buffer {
  if (payload !== undefined) return Buffer.from(payload);
  try {
    return readFileSync(file ?? 0);
  } catch (error) {
    return fail(`${file ?? 'standard input'} cannot be read: ${(error as Error).message}`, EXIT.io);
  }
}

async function send(
  channel: Channel,
  topic: string,
  payload: Buffer,
  options: PublishOptions,
  { json }: PubFlags,
): Promise<void> {
  const cursor = await channel.publish(topic, payload, options);
  if (json === true) process.stdout.write(`${JSON.stringify({ topic, bytes: payload.length, cursor })}\n`);
}

/** Lines go out as they come, several under way at once. */
async function sendLines(channel: Channel, topic: string, options: PublishOptions, flags: PubFlags): Promise<void> {
  const underWay = new Set<Promise<void>>();
  let failure: unknown = null;
  for await (const line of createInterface({ input: process.stdin })) {
    const one = send(channel, topic, Buffer.from(line), options, flags)
      .catch((error: unknown) => {
        failure ??= error;
      })
      .finally(() => underWay.delete(one));
    underWay.add(one);
    if (underWay.size >= 256) await Promise.race(underWay);
    if (failure !== null) break;
  }
  await Promise.all(underWay);
  if (failure !== null) throw failure;
}
