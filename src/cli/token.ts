// `portico token`: personal tokens, which stand in place of a password for a program.
import type { Command } from 'commander';
import { momentOf, momentText } from './moments.ts';
import { addOrderFlags, type OrderFlags, order, orders } from './order.ts';
import { bold } from './output.ts';

interface Shown {
  readonly id: string;
  readonly account: string;
  readonly label: string;
  readonly scopes: readonly string[] | null;
  readonly expires: number;
  readonly used: number;
}

export function addToken(program: Command): void {
  const token = program.command('token').description('personal tokens, in place of a password for a program');
  addOrderFlags(token.command('add').description('make a token; it is shown once'))
    .argument('<account>', 'whose it is')
    .argument('<label>', 'what it is called, as ci or phone')
    .option('--scope <rule...>', 'what it is narrowed to, as "publish topics/ci/#"; without, all that the account may')
    .option('--expires <when>', 'when it ends: 30d, 12h, or a date as 2027-01-31')
    .action(add);
  addOrderFlags(token.command('list').description('all tokens, or those of an account').argument('[account]')).action(
    list,
  );
  addOrderFlags(token.command('revoke').description('end a token and what came by it'))
    .argument('<account-or-token>', 'whose it is; or the token itself, or its id')
    .argument('[label]', 'what it is called')
    .action(revoke);
}

async function add(
  account: string,
  label: string,
  flags: OrderFlags & { readonly scope?: readonly string[]; readonly expires?: string },
): Promise<void> {
  const expires = flags.expires === undefined ? 0 : momentOf(flags.expires);
  const answer = await order(flags, 'token.add', { account, label, scopes: flags.scope, expires });
  if (flags.json === true) process.stdout.write(`${JSON.stringify(answer)}\n`);
  // The token alone on standard output, so that it can be put into a variable.
  else process.stdout.write(`${String(answer.token)}\n`);
  if (flags.json !== true && process.stdout.isTTY === true)
    process.stderr.write('It is not shown again. It stands in place of the password, or as a bearer token.\n');
}

async function list(account: string | undefined, flags: OrderFlags): Promise<void> {
  const tokens = await orders(flags, async (give) => {
    const all: Shown[] = [];
    for (let more = true; more; ) {
      const answer = await give('token.list', { account, after: all.at(-1)?.id });
      all.push(...(answer.tokens as Shown[]));
      more = answer.more === true;
    }
    return all;
  });
  if (flags.json === true) process.stdout.write(`${JSON.stringify(tokens)}\n`);
  else if (tokens.length === 0) process.stdout.write('there are no tokens\n');
  else for (const token of tokens) process.stdout.write(`${lineOf(token)}\n`);
}

function lineOf({ id, account, label, scopes, expires, used }: Shown): string {
  const may = scopes === null ? 'all that the account may' : scopes.join('; ');
  const last = used === 0 ? 'never used' : `used ${momentText(used).slice(0, 13)}h`;
  return `${bold(`${account} ${label}`.padEnd(24))} ${id}  ends ${momentText(expires)}  ${last}  ${may}`;
}

async function revoke(owner: string, label: string | undefined, flags: OrderFlags): Promise<void> {
  const fields = label === undefined ? { label: owner } : { account: owner, label };
  const answer = await order(flags, 'token.revoke', fields);
  const text = `the token ${String(answer.revoked)} of ${String(answer.account)} is revoked; what came by it ends`;
  process.stdout.write(flags.json === true ? `${JSON.stringify(answer)}\n` : `${text}\n`);
}
