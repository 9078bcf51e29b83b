// `portico inbox`: the mails of a mailbox by IMAP or POP3: listed, searched, read, saved, flagged, deleted, and watched.
import { type Command, Option } from 'commander';
import { ConnectionError, connectImap, type ImapConnection, RefusedError } from '../exports/imap.ts';
import { connectPop3 } from '../exports/pop3.ts';
import { parseMessage } from '../formats/mime/parsed.ts';
import { type Command as Keys, stringPiece } from '../protocols/imap/client.ts';
import { type Listed, printListed, printMail, saveAttachments } from './inbox-show.ts';
import { complain, dim, EXIT, fail, visible } from './output.ts';
import { knownPassword } from './prompt.ts';
import { numberOf } from './sub.ts';
import { addTls, type TlsFlags, tlsFor, tlsHint } from './tls-flags.ts';

interface InboxFlags extends TlsFlags {
  readonly folder?: string;
  readonly folders?: boolean;
  readonly from?: string;
  readonly to?: string;
  readonly subject?: string;
  readonly text?: string;
  readonly since?: string;
  readonly unseen?: boolean;
  readonly limit?: string;
  readonly raw?: boolean;
  readonly save?: string;
  readonly flag?: readonly string[];
  readonly unflag?: readonly string[];
  readonly delete?: boolean;
  readonly watch?: boolean;
  readonly user?: string;
  readonly starttls?: 'offered' | 'required' | 'never';
  readonly json?: boolean;
}

const collect = (value: string, before: readonly string[] = []) => [...before, value];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const SYSTEM: ReadonlySet<string> = new Set(['seen', 'answered', 'flagged', 'deleted', 'draft']);

export function addInbox(program: Command): void {
  const command = program
    .command('inbox')
    .description('read mail: portico inbox imap://ann%40example.org@127.0.0.1, with numbers to read those')
    .argument('<url>', 'imap://, imaps://, pop3:// or pop3s://[user[:password]@]host[:port]')
    .argument('[ids...]', 'mails to be read, by the numbers that the list shows')
    .option('--folder <name>', 'another folder than INBOX')
    .option('--folders', 'list the folders')
    .option('--from <text>', 'mails from who has this in name or address')
    .option('--to <text>', 'mails to such')
    .option('--subject <text>', 'mails with this in their subject')
    .option('--text <text>', 'mails with this anywhere')
    .option('--since <date>', 'mails that came on this day or later, as 2026-02-28')
    .option('--unseen', 'mails that nobody has seen')
    .option('--limit <n>', 'the newest so many of a list; 20 unless said')
    .option('--raw', 'print mails as they are')
    .option('--save <folder>', 'save what is attached to the mails into a folder')
    .option('--flag <name>', 'set a flag: seen, answered, flagged, draft, or a word; may be repeated', collect)
    .option('--unflag <name>', 'take a flag away; may be repeated', collect)
    .option('--delete', 'remove the mails that are named')
    .option('--watch', 'go on, and show each mail as it comes')
    .option('--user <name>', 'sign in; the password is PORTICO_PASSWORD, or asked for')
    .addOption(
      new Option('--starttls <when>', 'TLS in the middle of the connection').choices(['offered', 'required', 'never']),
    )
    .option('--json', 'print a JSON line for each mail');
  addTls(command).action(inbox);
}

async function inbox(url: string, words: readonly string[], flags: InboxFlags): Promise<void> {
  const ids = words.flatMap(idsOf);
  const scheme = /^(imaps?|pop3s?):\/\//.exec(url)?.[1];
  if (scheme === undefined || !URL.canParse(url))
    fail(`${url} is no URL of a mailbox; say imap://host:port`, EXIT.usage);
  if (flags.delete === true && ids.length === 0) fail('say which mails to delete', EXIT.usage);
  if ((flags.flag ?? flags.unflag ?? flags.save) !== undefined && ids.length === 0)
    fail('say which mails with their numbers', EXIT.usage);
  try {
    if (scheme.startsWith('imap')) await overImap(url, ids, flags);
    else await overPop3(url, ids, flags);
  } catch (error) {
    if (error instanceof TypeError) fail(error.message, EXIT.usage);
    if (error instanceof RefusedError) fail(`refused: ${visible(error.message)}`, EXIT.refused);
    if (error instanceof ConnectionError) fail(`${error.message}${tlsHint(error.message)}`, EXIT.unavailable);
    throw error;
  }
  // A handle of the terminal's must not keep us.
  process.exit();
}

/** `7`, `3-5` */
function idsOf(word: string): number[] {
  const [, first, last] = /^(\d+)(?:[-:](\d+))?$/.exec(word) ?? fail(`${word} is no number of a mail`, EXIT.usage);
  const [from, to] = [Number(first), Number(last ?? first)];
  if (from === 0 || to < from || to - from > 100_000) fail(`${word} names no mails`, EXIT.usage);
  return Array.from({ length: to - from + 1 }, (_, at) => from + at);
}

async function optionsOf(url: string, scheme: string, flags: InboxFlags) {
  const { hostname, username, password } = new URL(url);
  const user = flags.user ?? decodeURIComponent(username);
  if (user === '') fail('say who you are with --user, or in the URL', EXIT.usage);
  const secret =
    password === ''
      ? (process.env.PORTICO_PASSWORD ?? (await knownPassword(false, user)))
      : decodeURIComponent(password);
  const tls = tlsFor(scheme, hostname.replace(/^\[|\]$/g, ''), flags) ?? {};
  return { user, password: secret, tls, startTls: flags.starttls ?? ('offered' as const) };
}

// ---- IMAP ------------------------------------------------------------------------------------------------------------------

async function overImap(url: string, ids: readonly number[], flags: InboxFlags): Promise<void> {
  const keys = keysOf(flags);
  const most = limitOf(flags);
  const mailbox = await connectImap(url, await optionsOf(url, 'imaps', flags));
  if (flags.folders === true) {
    for (const { name, attributes } of await mailbox.folders())
      if (flags.json === true) process.stdout.write(`${JSON.stringify({ name, attributes })}\n`);
      else
        process.stdout.write(
          `${visible(name)} ${dim(attributes.filter((each) => !/children/i.test(each)).join(' '))}\n`,
        );
    return mailbox.close();
  }
  const changes = flags.flag !== undefined || flags.unflag !== undefined || flags.delete === true;
  await mailbox.open(flags.folder ?? 'INBOX', !changes);
  if (ids.length > 0) await withMails(mailbox, ids, flags);
  else printListed(await listed(mailbox, (await mailbox.search(keys)).slice(-most)), flags.json === true);
  if (flags.watch === true) await watched(mailbox, flags);
  mailbox.close();
}

async function listed(mailbox: ImapConnection, uids: readonly number[]): Promise<Listed[]> {
  return (await mailbox.list(uids)).map(({ uid, ...rest }) => ({ id: uid, ...rest }));
}

function limitOf({ limit }: InboxFlags): number {
  return numberOf('limit', limit) ?? 20;
}

function keysOf({ from, to, subject, text, since, unseen }: InboxFlags): Keys {
  const keys: (string | Buffer)[] = ['ALL'];
  for (const [name, value] of Object.entries({ FROM: from, TO: to, SUBJECT: subject, TEXT: text }))
    if (value !== undefined) keys.push(` ${name} `, stringPiece(value));
  if (unseen === true) keys.push(' UNSEEN');
  if (since !== undefined) {
    const date = new Date(`${since}T00:00:00Z`);
    if (Number.isNaN(date.getTime())) fail(`--since ${since} is no date; it is like 2026-02-28`, EXIT.usage);
    keys.push(` SINCE ${date.getUTCDate()}-${MONTHS[date.getUTCMonth()]!}-${date.getUTCFullYear()}`);
  }
  return keys;
}

async function withMails(mailbox: ImapConnection, uids: readonly number[], flags: InboxFlags): Promise<void> {
  const changes = flags.flag !== undefined || flags.unflag !== undefined || flags.delete === true;
  const there = new Set((await mailbox.list(uids)).map(({ uid }) => uid));
  for (const uid of uids) {
    if (!there.has(uid)) missed(uid);
    else if (!changes || flags.save !== undefined || flags.raw === true) {
      const bytes = await mailbox.read(uid);
      if (bytes === null) missed(uid);
      else show(uid, bytes, flags);
    }
  }
  const known = uids.filter((uid) => there.has(uid));
  if (known.length === 0) return;
  if (flags.flag !== undefined) await mailbox.flag(known, '+', flags.flag.map(flagOf));
  if (flags.unflag !== undefined) await mailbox.flag(known, '-', flags.unflag.map(flagOf));
  if (flags.delete === true) await mailbox.remove(known);
}

function flagOf(name: string): string {
  const plain = name.replace(/^\\/, '');
  if (!/^[\w$.-]+$/.test(plain)) fail(`${name} is no flag`, EXIT.usage);
  return SYSTEM.has(plain.toLowerCase()) ? `\\${plain}` : plain;
}

function missed(id: number): void {
  complain(`there is no mail ${id}`);
  process.exitCode = EXIT.failed;
}

/** Shows each mail that comes, until it is interrupted. */
async function watched(mailbox: ImapConnection, flags: InboxFlags): Promise<void> {
  let after = (await mailbox.search()).at(-1) ?? 0;
  for (let over = false; !over; ) {
    let wake = () => {};
    const until = new Promise<void>((resolve) => (wake = resolve));
    const stop = () => {
      over = true;
      wake();
    };
    process.once('SIGINT', stop).once('SIGTERM', stop);
    await mailbox.watch(({ name }) => {
      if (name === 'EXISTS') wake();
    }, until);
    process.off('SIGINT', stop).off('SIGTERM', stop);
    const fresh = (await mailbox.search([`UID ${after + 1}:*`])).filter((uid) => uid > after);
    printListed(await listed(mailbox, fresh), flags.json === true);
    after = fresh.at(-1) ?? after;
  }
}

// ---- POP3 ------------------------------------------------------------------------------------------------------------------

async function overPop3(url: string, ids: readonly number[], flags: InboxFlags): Promise<void> {
  for (const name of ['folder', 'folders', 'watch', 'flag', 'unflag', 'since', 'unseen'] as const)
    if (flags[name] !== undefined) fail(`--${name} is for IMAP: POP3 has no such thing`, EXIT.usage);
  const most = limitOf(flags);
  const mailbox = await connectPop3(url, await optionsOf(url, 'pop3s', flags));
  const there = new Map((await mailbox.list()).map(({ number, size }) => [number, size]));
  if (ids.length === 0) {
    const found: Listed[] = [];
    const isAsked = [flags.from, flags.to, flags.subject, flags.text].some((text) => text !== undefined);
    for (const [id, size] of [...there].reverse()) {
      if (found.length === most) break;
      const header = flags.text === undefined ? await mailbox.top(id) : await mailbox.read(id);
      if (!isAsked || fits(header, flags)) found.push({ id, size, flags: [], header });
    }
    printListed(found.reverse(), flags.json === true);
  }
  for (const id of ids) {
    if (!there.has(id)) {
      missed(id);
      continue;
    }
    if (flags.delete !== true || flags.save !== undefined || flags.raw === true)
      show(id, await mailbox.read(id), flags);
    if (flags.delete === true) await mailbox.remove(id);
  }
  await mailbox.close();
}

/** What the server of IMAP looks for is looked for here. */
function fits(bytes: Buffer, { from, to, subject, text }: InboxFlags): boolean {
  const mail = parseMessage(bytes);
  const has = (where: string, what: string | undefined) =>
    what === undefined || where.toLowerCase().includes(what.toLowerCase());
  const people = (list: typeof mail.from) => list.map(({ name, address }) => `${name} ${address}`).join(' ');
  return (
    has(people(mail.from), from) &&
    has(people(mail.to), to) &&
    has(mail.subject, subject) &&
    has(`${mail.headers.map(({ value }) => value).join('\n')}\n${mail.text}\n${mail.html}`, text)
  );
}

function show(id: number, bytes: Buffer, flags: InboxFlags): void {
  if (flags.raw === true) process.stdout.write(bytes);
  else if (flags.save === undefined) printMail(id, bytes, flags.json === true);
  if (flags.save === undefined) return;
  for (const path of saveAttachments(id, bytes, flags.save))
    process.stdout.write(flags.json === true ? `${JSON.stringify({ id, path })}\n` : `${visible(path)}\n`);
}
