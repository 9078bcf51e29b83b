// `portico queue`: mail that leaves, of the server that runs here.
import type { Command } from 'commander';
import { momentText } from './moments.ts';
import { addOrderFlags, type OrderFields, type OrderFlags, orders } from './order.ts';
import { bold, dim, EXIT, fail, red, yellow } from './output.ts';

interface Recipient {
  readonly address: string;
  readonly state: string;
  readonly tries: number;
  readonly next: number;
  readonly said: string;
  readonly server: string;
}

interface Mail {
  readonly id: number;
  readonly from: string;
  readonly size: number;
  readonly created: number;
  readonly expires: number;
  readonly held: boolean;
  readonly recipients: readonly Recipient[];
}

type ChangeFlags = OrderFlags & { readonly all?: boolean; readonly tell?: boolean };

const CHANGES: readonly (readonly [verb: string, what: string, done: string])[] = [
  ['retry', 'try a mail now, whatever it waits for', 'it is tried now'],
  ['hold', 'try a mail no more until it is released', 'held'],
  ['release', 'let a mail that was held go on', 'released'],
  ['remove', 'take a mail out of the queue', 'removed'],
];

export function addQueue(program: Command): void {
  const queue = program.command('queue').description('mail that waits to be sent to other servers');
  addOrderFlags(queue.command('list').description('what waits, and what was said to it last')).action(list);
  addOrderFlags(
    queue.command('show').description('one mail, with its header').argument('<id>', 'as queue list shows it'),
  ).action(show);
  for (const [verb, what, done] of CHANGES) {
    const command = addOrderFlags(queue.command(verb).description(what)).argument('[id]', 'as queue list shows it');
    command.option('--all', 'every mail in the queue');
    if (verb === 'remove') command.option('--tell', 'its sender is told');
    command.action((id: string | undefined, flags: ChangeFlags) => change(verb, done, id, flags));
  }
}

/** The queue is what a running server has under way: there is nothing to be done about it while none runs. */
const LIVE = { live: true } as const;

async function list(flags: OrderFlags): Promise<void> {
  const found = await orders(
    flags,
    async (give) => {
      const mails: Mail[] = [];
      let figures: OrderFields = {};
      for (let more = true; more; ) {
        const answer = await give('queue.list', { after: mails.at(-1)?.id ?? 0 });
        mails.push(...(answer.mails as Mail[]));
        figures = answer.figures as OrderFields;
        more = answer.more === true;
      }
      return { mails, figures };
    },
    LIVE,
  );
  if (flags.json === true) {
    process.stdout.write(`${JSON.stringify(found)}\n`);
    return;
  }
  if (found.mails.length === 0) process.stdout.write('nothing waits\n');
  for (const mail of found.mails) process.stdout.write(`${linesOf(mail).join('\n')}\n`);
}

function linesOf({ id, from, size, created, held, recipients }: Mail): string[] {
  const about = `${size} bytes, since ${momentText(created)}`;
  return [
    `${bold(String(id).padEnd(6))} ${from === '' ? '<>' : from} ${dim(about)}${held ? ` ${yellow('held')}` : ''}`,
    ...recipients.flatMap(({ address, state, tries, next, said, server }) => {
      const when = state === 'waiting' ? `tried ${tries} times, next ${momentText(next)}` : state;
      const line = `       ${address} ${dim(when)}`;
      return said === '' ? [line] : [line, `         ${red(`${server === '' ? '' : `${server}: `}${said}`)}`];
    }),
  ];
}

async function show(id: string, flags: OrderFlags): Promise<void> {
  const answer = await orders(flags, (give) => give('queue.show', { id }), LIVE);
  if (flags.json === true) process.stdout.write(`${JSON.stringify(answer)}\n`);
  else {
    const mail = answer.mail as Mail;
    const until = dim(`given up at ${momentText(mail.expires)}`);
    process.stdout.write(
      `${linesOf(mail).join('\n')}\n       ${until}\n\n${String(answer.header).replaceAll('\r\n', '\n')}`,
    );
  }
}

async function change(verb: string, done: string, id: string | undefined, flags: ChangeFlags): Promise<void> {
  if ((id === undefined) === (flags.all !== true)) fail('say which mail, or --all', EXIT.usage);
  const fields = { id, all: flags.all === true, tell: flags.tell === true };
  const answer = await orders(flags, (give) => give(`queue.${verb}`, fields), LIVE);
  if (flags.json === true) process.stdout.write(`${JSON.stringify(answer)}\n`);
  else process.stdout.write(`${id === undefined ? 'all' : bold(id)}: ${done}\n`);
}
