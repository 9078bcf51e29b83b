// `portico account`: who may sign in, and by what.
import type { Command } from 'commander';
import { momentOf, momentText } from './moments.ts';
import { addOrderFlags, type OrderFields, type OrderFlags, order, orders } from './order.ts';
import { bold, dim, EXIT, fail } from './output.ts';
import { newPassword } from './prompt.ts';

interface AddFlags extends OrderFlags {
  readonly admin?: boolean;
  readonly group?: readonly string[];
  readonly expires?: string;
  readonly note?: string;
  readonly password: boolean;
  readonly passwordStdin?: boolean;
}

interface Shown {
  readonly name: string;
  readonly groups: readonly string[];
  readonly disabled: boolean;
  readonly expires: number;
  readonly created: number;
  readonly password: string | null;
  readonly scram: boolean;
  readonly keys: readonly { readonly type: string; readonly fingerprint: string; readonly comment: string }[];
  readonly certificates: readonly string[];
  readonly totp: { readonly recoveryCodes: number } | null;
  readonly tokens?: readonly string[];
  readonly note: string;
}

export function addAccount(program: Command): void {
  const account = program.command('account').description('who may sign in, and by what');
  addAdd(account);
  addChanges(account);
  addWays(account);
  addOrderFlags(account.command('list').description('all accounts')).action(list);
  addOrderFlags(account.command('show').description('one account').argument('<name>')).action(show);
}

function addAdd(account: Command): void {
  addOrderFlags(
    account.command('add').description('make an account').argument('<name>', 'letters, digits and . _ - + @'),
  )
    .option('--admin', 'put it into the group admins, which may do all; the first account always is')
    .option('--group <name...>', 'groups that it is in')
    .option('--expires <when>', 'when it ends: 30d, 12h, or a date as 2027-01-31')
    .option('--note <text>', 'what it is for')
    .option('--no-password', 'it signs in by tokens, keys or certificates alone')
    .option('--password-stdin', 'read the password from the first line of standard input')
    .action(add);
}

function addChanges(account: Command): void {
  addOrderFlags(
    account.command('passwd').description('set the password; ends what came by the old one').argument('<name>'),
  )
    .option('--password-stdin', 'read the password from the first line of standard input')
    .option('--none', 'it has no password any more')
    .action(passwd);
  const simple: readonly [name: string, description: string, said: string][] = [
    ['disable', 'nobody signs in with it, and what is open ends', 'is disabled; what it had open ends'],
    ['enable', 'undoes disable', 'is enabled'],
    ['remove', 'end it, its tokens and what it has open, for good', 'is removed; what it had open ends'],
  ];
  for (const [name, description, said] of simple)
    addOrderFlags(account.command(name).description(description).argument('<name>')).action(
      async (named: string, flags: OrderFlags) =>
        say(flags, await order(flags, `account.${name}`, { name: named }), `${named} ${said}`),
    );
  addOrderFlags(
    account
      .command('expire')
      .description('when it ends')
      .argument('<name>')
      .argument('<when>', '30d, 12h, a date, or never'),
  ).action(async (name: string, when: string, flags: OrderFlags) => {
    const expires = when === 'never' ? 0 : momentOf(when);
    say(flags, await order(flags, 'account.expire', { name, expires }), `${name} ends: ${momentText(expires)}`);
  });
  addOrderFlags(account.command('group').description('the groups that it is in').argument('<name>'))
    .option('--add <group...>', 'groups to join')
    .option('--remove <group...>', 'groups to leave')
    .action(async (name: string, flags: OrderFlags & { readonly add?: string[]; readonly remove?: string[] }) => {
      const answer = await order(flags, 'account.group', { name, add: flags.add ?? [], remove: flags.remove ?? [] });
      const { groups } = answer.account as Shown;
      say(flags, answer, `${name} is in ${groups.length === 0 ? 'no group' : groups.join(', ')}`);
    });
}

function addWays(account: Command): void {
  addOrderFlags(account.command('key').description('SSH keys that open it').argument('<name>'))
    .option('--add <line>', 'a line of a .pub file: "ssh-ed25519 AAAA… ann@laptop"')
    .option('--remove <fingerprint>', 'SHA256:… of one that opens it no more')
    .action((name: string, flags: OrderFlags & Ways) => way('key', name, flags));
  addOrderFlags(account.command('certificate').description('client certificates that open it').argument('<name>'))
    .option('--add <what>', 'sha256:<fingerprint>, email:…, dns:…, uri:… or cn:…')
    .option('--remove <what>', 'one that opens it no more')
    .action((name: string, flags: OrderFlags & Ways) => way('certificate', name, flags));
  addOrderFlags(
    account.command('totp').description('codes by time: its password alone opens it no more').argument('<name>'),
  )
    .option('--off', 'no codes any more')
    .action(totp);
}

interface Ways {
  readonly add?: string;
  readonly remove?: string;
}

async function way(kind: 'key' | 'certificate', name: string, flags: OrderFlags & Ways): Promise<void> {
  const { add, remove } = flags;
  if (add === undefined && remove === undefined) fail('say --add or --remove', EXIT.usage);
  const answer = await order(flags, `account.${kind}`, { name, add, remove });
  const what = String(answer.fingerprint ?? add ?? remove);
  say(flags, answer, `${name} is ${add === undefined ? 'no longer opened' : 'opened'} by ${what}`);
}

async function add(name: string, flags: AddFlags): Promise<void> {
  const password = flags.password ? await newPassword(flags.passwordStdin === true, name) : undefined;
  const { admin, note, group } = flags;
  const expires = flags.expires === undefined ? 0 : momentOf(flags.expires);
  const answer = await order(flags, 'account.add', { name, password, admin, note, groups: group, expires });
  const account = answer.account as Shown;
  const groups = account.groups.length === 0 ? '' : `, in ${account.groups.join(', ')}`;
  const ended =
    answer.openModeEnded === true
      ? '\nOpen mode has ended: from now on nobody enters without an account, also on this machine, and whoever was let in\nwithout one has to sign in. This first account administers.'
      : '';
  say(flags, answer, `${bold(account.name)} is an account${groups}${ended}`);
}

async function passwd(
  name: string,
  flags: OrderFlags & { readonly none?: boolean; readonly passwordStdin?: boolean },
): Promise<void> {
  const none = flags.none === true;
  const password = none ? undefined : await newPassword(flags.passwordStdin === true, name);
  const answer = await order(flags, 'account.passwd', { name, password, none });
  say(flags, answer, none ? `${name} has no password` : `${name} has a new password; what came by the old one ends`);
}

async function totp(name: string, flags: OrderFlags & { readonly off?: boolean }): Promise<void> {
  const answer = await order(flags, 'account.totp', { name, off: flags.off === true });
  if (flags.off === true) {
    say(flags, answer, `${name} needs no codes any more`);
    return;
  }
  const codes = (answer.recoveryCodes as string[]).map((code) => `  ${code}`).join('\n');
  say(
    flags,
    answer,
    `${name} needs a code beside its password from now on. Give this to an app for codes:\n  ${String(answer.uri)}\n` +
      `Each of these opens it once, when the app is lost:\n${codes}\nThey are not shown again. Programs use tokens: portico token add.`,
  );
}

async function list(flags: OrderFlags): Promise<void> {
  const accounts = await orders(flags, async (give) => {
    const all: Shown[] = [];
    for (let more = true; more; ) {
      const answer = await give('account.list', all.length === 0 ? {} : { after: all.at(-1)!.name });
      all.push(...(answer.accounts as Shown[]));
      more = answer.more === true;
    }
    return all;
  });
  if (flags.json === true) {
    process.stdout.write(`${JSON.stringify(accounts)}\n`);
    return;
  }
  if (accounts.length === 0) process.stdout.write('there are no accounts\n');
  for (const account of accounts) process.stdout.write(`${lineOf(account)}\n`);
}

function lineOf(account: Shown): string {
  const { name, groups, disabled, expires, tokens = [] } = account;
  const state = disabled ? 'disabled' : expires > 0 && expires <= Date.now() ? 'expired' : '';
  const ways = waysOf(account, tokens);
  return [bold(name.padEnd(20)), (groups.join(',') || '-').padEnd(16), ways, state === '' ? '' : `(${state})`]
    .join(' ')
    .trimEnd();
}

function waysOf({ password, totp, keys, certificates }: Shown, tokens: readonly string[]): string {
  const many = (count: number, what: string) => (count === 0 ? [] : [`${count} ${what}${count === 1 ? '' : 's'}`]);
  const ways = [
    ...(password === null ? [] : [totp === null ? 'password' : 'password and code']),
    ...many(tokens.length, 'token'),
    ...many(keys.length, 'key'),
    ...many(certificates.length, 'certificate'),
  ];
  return ways.length === 0 ? 'nothing opens it' : ways.join(', ');
}

async function show(name: string, flags: OrderFlags): Promise<void> {
  const answer = await order(flags, 'account.show', { name });
  const account = answer.account as Shown;
  const row = (key: string, text: string) => `  ${key.padEnd(14)} ${text}`;
  const lines = [
    lineOf(account),
    row('made', momentText(account.created)),
    row('ends', momentText(account.expires)),
    ...(account.note === '' ? [] : [row('note', account.note)]),
    ...(account.tokens ?? []).map((label) => row('token', label)),
    ...account.keys.map(({ fingerprint, comment }) => row('key', `${fingerprint} ${comment}`)),
    ...account.certificates.map((named) => row('certificate', named)),
    ...(account.totp === null ? [] : [row('codes', `${account.totp.recoveryCodes} recovery codes left`)]),
    ...(account.password !== null && !account.scram ? [dim(row('', 'no SCRAM: set the password again'))] : []),
  ];
  say(flags, answer, lines.join('\n'));
}

function say(flags: OrderFlags, answer: OrderFields, text: string): void {
  process.stdout.write(flags.json === true ? `${JSON.stringify(answer)}\n` : `${text}\n`);
}
