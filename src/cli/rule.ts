// `portico rule` and `portico can`: what accounts may do, and why.
import type { Command } from 'commander';
import { addOrderFlags, type OrderFlags, order, orders } from './order.ts';
import { bold, dim, EXIT, green, red } from './output.ts';

interface Shown {
  readonly id: string;
  readonly rule: string;
}

export function addRule(program: Command): void {
  const rule = program.command('rule').description('what accounts may do');
  addOrderFlags(rule.command('add').description('make a rule; it holds at once'))
    .argument('<effect>', 'allow or deny')
    .argument('<who>', 'an account, @group, everyone (with an account), anonymous, or *')
    .argument(
      '<verbs>',
      'publish, subscribe, read, write, delete, list, call, administer; several by commas, * for all',
    )
    .argument('<path>', 'as topics/devices/{account}/#')
    .action(add);
  addOrderFlags(rule.command('list').description('all rules that hold')).action(list);
  addOrderFlags(rule.command('remove').description('remove a rule').argument('<id>', 'as rule list shows it')).action(
    remove,
  );
}

export function addCan(program: Command): void {
  addOrderFlags(program.command('can').description('whether an account may do something, and why'))
    .argument('<account>', 'an account, or anonymous')
    .argument('<verb>', 'as publish')
    .argument('<path>', 'as topics/a/b')
    .option('--token <label>', 'with that token of the account')
    .addHelpText('after', '\nThe exit code is 0 when it may and 1 when it may not.')
    .action(can);
}

async function add(effect: string, who: string, verbs: string, path: string, flags: OrderFlags): Promise<void> {
  say(flags, await order(flags, 'rule.add', { rule: `${effect} ${who} ${verbs} ${path}` }));
}

async function remove(rule: string, flags: OrderFlags): Promise<void> {
  say(flags, await order(flags, 'rule.remove', { rule }), 'removed: ');
}

function say(flags: OrderFlags, answer: Readonly<Record<string, unknown>>, before = ''): void {
  if (flags.json === true) process.stdout.write(`${JSON.stringify(answer)}\n`);
  else process.stdout.write(`${before}${bold(String(answer.id))} ${String(answer.rule)}\n`);
}

async function list(flags: OrderFlags): Promise<void> {
  const rules = await orders(flags, async (give) => {
    const all: Shown[] = [];
    for (let more = true; more; ) {
      const answer = await give('rule.list', { from: String(all.length) });
      all.push(...(answer.rules as Shown[]));
      more = answer.more === true;
    }
    return all;
  });
  if (flags.json === true) process.stdout.write(`${JSON.stringify(rules)}\n`);
  else for (const { id, rule } of rules) process.stdout.write(`${bold(id.padEnd(8))} ${rule}\n`);
}

async function can(who: string, verb: string, path: string, flags: OrderFlags & { token?: string }): Promise<void> {
  const answer = await order(flags, 'can', { who, verb, path, token: flags.token });
  const allowed = answer.allowed === true;
  if (flags.json === true) process.stdout.write(`${JSON.stringify(answer)}\n`);
  else {
    const by = answer.by as Shown | null;
    const rule = by === null ? '' : `: ${bold(by.id)} ${by.rule}`;
    process.stdout.write(`${allowed ? green('yes') : red('no')}, ${String(answer.why)}${rule}\n`);
    for (const other of answer.matching as Shown[])
      if (other.id !== by?.id || other.rule !== by.rule)
        process.stdout.write(dim(`     also ${other.id} ${other.rule}\n`));
  }
  process.exitCode = allowed ? EXIT.ok : EXIT.failed;
}
