// `portico tour`: one message through every protocol, and what was observed of it at each layer.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { Status } from '../control/words.ts';
import { Portico } from '../portico.ts';
import { addPlaceFlags, type PlaceFlags } from './configured.ts';
import { controlPlace, controlTurn, unreachable } from './control-call.ts';
import { complain, dim, EXIT, fail } from './output.ts';
import { knownPassword } from './prompt.ts';
import { TourFeed } from './tour-feed.ts';
import { Tour, type TourStep } from './tour-steps.ts';
import { STOPS } from './tour-stops.ts';
import { tourText } from './tour-text.ts';

interface TourFlags extends PlaceFlags {
  readonly from?: string[];
  readonly wait: boolean;
  readonly json?: boolean;
  readonly user?: string;
  readonly passwordStdin?: boolean;
}

const PUBLISHERS = STOPS.filter(({ publishes }) => publishes).map(({ name }) => name);

export function addTour(program: Command): void {
  const own = program.command('tour').description('see one message go through every protocol, layer by layer');
  addPlaceFlags(own)
    .option('--from <protocol...>', `only messages of these: ${PUBLISHERS.join(', ')}`)
    .option('--no-wait', 'go on without Enter between two messages')
    .option('--user <name>', 'who signs in; needed where there are accounts')
    .option('--password-stdin', 'the password is the first line of standard input; it is asked for otherwise')
    .option('--json', 'print one JSON line a step')
    .addHelpText('after', '\nWithout --data, --config or --control it starts a Portico of its own, in memory.')
    .action((flags: TourFlags) => tour(flags));
}

/** What the tour goes through, and how that is put away. */
interface Ground {
  readonly control: string;
  readonly own: boolean;
  close(): Promise<void>;
}

async function tour(flags: TourFlags): Promise<void> {
  const from = flags.from ?? PUBLISHERS;
  const unknown = from.find((name) => !PUBLISHERS.includes(name));
  if (unknown !== undefined) fail(`--from ${unknown} is not known; there are ${PUBLISHERS.join(', ')}`, EXIT.usage);
  const user = flags.user ?? '';
  const password = user === '' ? '' : await knownPassword(flags.passwordStdin === true, user);
  const ground = await groundOf(flags);
  const turn = controlTurn();
  const feed = new TourFeed(ground.control, turn);
  const made: { tour: Tour | null } = { tour: null };
  let isEnding = false;
  const end = async (code: number): Promise<void> => {
    if (isEnding) return;
    isEnding = true;
    made.tour?.close();
    feed.close();
    await ground.close();
    process.exit(code);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void end(EXIT.ok));
  let status: Status;
  try {
    status = await feed.status();
    await feed.watch(status.native === 'on');
  } catch (error) {
    complain(unreachable(ground.control, error));
    return end(EXIT.unavailable);
  }
  try {
    const mark = `tour-${randomBytes(4).toString('hex')}`;
    made.tour = new Tour({ feed, turn, status, own: ground.own, from, mark, user, password });
    if (made.tour.publishers.length === 0) {
      complain(`that server listens for none of ${from.join(', ')}`);
      await end(EXIT.unavailable);
    }
    await end((await show(made.tour, flags)) === 0 ? EXIT.ok : EXIT.failed);
  } catch (error) {
    if (!isEnding) complain(feed.over === '' && error instanceof Error ? error.message : feed.over);
    await end(EXIT.unavailable);
  }
}

/** The server that is named, or one of our own. */
async function groundOf(flags: TourFlags): Promise<Ground> {
  if (flags.data !== undefined || flags.config !== undefined || flags.control !== undefined)
    return { control: await controlPlace(flags), own: false, close: () => Promise.resolve() };
  const folder = mkdtempSync(join(tmpdir(), 'portico-tour-'));
  const control = join(folder, 'control.sock');
  try {
    const portico = await Portico.start({ storage: 'memory', ports: 'ephemeral', control });
    const close = async () => {
      await portico.close();
      rmSync(folder, { recursive: true, force: true });
    };
    return { control, own: true, close };
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    return fail(error instanceof Error ? error.message : String(error), EXIT.unavailable);
  }
}

/** Shows the steps, one screen at a time; answers how much of it did not go well. */
async function show(made: Tour, { json, wait }: TourFlags): Promise<number> {
  const isPaced = wait && json !== true && process.stdin.isTTY && process.stdout.isTTY;
  const of = made.publishers.length;
  let number = 0;
  let missing = 0;
  const write = (step: TourStep) => {
    if (step.step === 'published') number++;
    if (step.step === 'end') missing = step.missing + step.refused;
    process.stdout.write(json === true ? `${JSON.stringify(step)}\n` : tourText(step, number, of));
  };
  for await (const step of made.steps()) {
    // Before a message is shown and not after, so that nobody presses Enter to see the end.
    if (isPaced && step.step === 'published' && !(await goesOn())) break;
    write(step);
  }
  if (isPaced) process.stdin.pause();
  return missing;
}

/** Whether Enter was pressed, and not q or the end of input. */
function goesOn(): Promise<boolean> {
  process.stdout.write(dim('Enter for the next message, q to end '));
  return new Promise((resolve) => {
    const answered = (text: Buffer | null) => {
      process.stdin.off('data', answered);
      process.stdin.off('end', ended);
      resolve(text !== null && !/^q/i.test(text.toString()));
    };
    const ended = () => answered(null);
    process.stdin.on('data', answered);
    process.stdin.on('end', ended);
    process.stdin.resume();
  });
}
