// `portico why`: why a message did or did not reach each subscriber of a running server, and what to do.
import type { Command } from 'commander';
import type { WhyAnswer } from '../resources/topics/contract.ts';
import { addPlaceFlags, type PlaceFlags } from './configured.ts';
import { askControl, controlPlace } from './control-call.ts';
import { bold, dim, EXIT, fail, green, red, visible, yellow } from './output.ts';
import { numberOf } from './sub.ts';

interface WhyFlags extends PlaceFlags {
  readonly cursor?: string;
  readonly json?: boolean;
}

export function addWhy(program: Command): void {
  addPlaceFlags(program.command('why').description('why a message did not reach a client: portico why sensors/a'))
    .argument('<topic>', 'a topic')
    .option('--cursor <cursor>', 'which message; the last one when absent')
    .option('--json', 'print one JSON line a subscriber')
    .action((topic: string, flags: WhyFlags) => why(topic, flags));
}

/** In words, and what to do. */
const REASONS: Readonly<Record<WhyAnswer['reason'], readonly [words: string, mend: string]>> = {
  delivered: ['was handed to the connection', 'if the client did not see it, look there: portico watch --topic'],
  waiting: [
    'waits',
    'the client takes no more for now, or has acknowledged nothing: see what it does with portico watch',
  ],
  'no filter matches': ['none of its filters matches', 'subscribe it to a filter that does'],
  denied: ['it may not read the topic', 'give its account a rule for it'],
  expired: ['the message expired first', 'publish with a longer expiry, or keep the client connected'],
  dropped: ['its queue was full', 'make it read faster, or raise the bounds of its queue'],
  'its own': ['it published the message itself, and asked for none of its own', 'subscribe without no-local'],
  'another of its group': ['one of its shared group got it', 'look at the others of the group'],
  'not connected': ['it is not connected', 'connect it; what was sent with assurance 1 or 2 waits for it'],
};

async function why(topic: string, flags: WhyFlags): Promise<void> {
  const cursor = numberOf('cursor', flags.cursor) ?? 0;
  const path = await controlPlace(flags);
  let isAnswered = false;
  const held = await askControl(
    path,
    { ask: 'why', topic, cursor },
    {
      said(said) {
        if ('error' in said) fail(said.error, EXIT.usage);
        if (!('answer' in said) || said.answer !== 'why') return;
        isAnswered = true;
        process.stdout.write(flags.json === true ? jsonOf(said.subscribers) : textOf(topic, cursor, said.subscribers));
        held.end();
      },
      closed() {
        if (!isAnswered) fail('the server went away', EXIT.unavailable);
        process.exitCode = EXIT.ok;
      },
    },
  );
}

function jsonOf(subscribers: readonly WhyAnswer[]): string {
  return subscribers.map((answer) => `${JSON.stringify(answer)}\n`).join('');
}

function textOf(topic: string, cursor: number, subscribers: readonly WhyAnswer[]): string {
  const which = cursor === 0 ? `The last message on ${visible(topic)}` : `Message ${cursor} on ${visible(topic)}`;
  if (subscribers.length === 0)
    return `${which}: there is no subscriber now.\n${dim('  Subscribe one; with --after it is given the history first.')}\n`;
  const rows = subscribers.map(({ subscriber, reason, detail }) => {
    const [words, mend] = REASONS[reason];
    const colour = reason === 'delivered' ? green : reason === 'dropped' || reason === 'denied' ? red : yellow;
    const more = detail === '' ? '' : dim(` (${visible(detail)})`);
    return `  ${bold(visible(subscriber === '' ? '(no name)' : subscriber))}  ${colour(words)}${more}\n      ${dim(mend)}\n`;
  });
  return `${which}:\n${rows.join('')}`;
}
