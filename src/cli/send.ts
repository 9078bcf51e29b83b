// `portico send`: a mail, or one for each row of a table, to a server by SMTP.
import { randomBytes } from 'node:crypto';
import { type Command, Option } from 'commander';
import { ConnectionError, connectSmtp, type RecipientOutcome, type SmtpConnection } from '../exports/smtp.ts';
import { complain, dim, EXIT, fail, green, red, yellow } from './output.ts';
import { knownPassword } from './prompt.ts';
import {
  attachmentsOf,
  type LetterFlags,
  letterOf,
  plainAddresses,
  type Row,
  readBytes,
  readText,
  rowsOf,
  textOf,
  type Written,
} from './send-letters.ts';
import { addTls, type TlsFlags, tlsFor, tlsHint } from './tls-flags.ts';

interface SendFlags extends LetterFlags, TlsFlags {
  readonly each?: string;
  readonly eml?: string;
  readonly user?: string;
  readonly starttls?: 'offered' | 'required' | 'never';
  readonly helo?: string;
  readonly dry?: boolean;
  readonly json?: boolean;
}

const collect = (value: string, before: readonly string[] = []) => [...before, value];

export function addSend(program: Command): void {
  const command = program
    .command('send')
    .description('send a mail: portico send smtp://127.0.0.1:2525 --to bob@example.net --subject Hello --text Hi')
    .argument('<url>', 'smtp://, submission:// or smtps://[user[:password]@]host[:port]')
    .option('--from <address>', 'who sends it; this user at localhost unless said')
    .option('--to <address>', 'who gets it; may be repeated', collect)
    .option('--cc <address>', 'who gets a copy, and is seen by all', collect)
    .option('--bcc <address>', 'who gets a copy, and is seen by nobody', collect)
    .option('--subject <text>', 'what it is about')
    .option('--text <text>', 'what it says; @file for a file, @- for standard input')
    .option('--html <html>', 'the same as HTML; @file for a file')
    .option('--attach <file>', 'a file that goes with it; may be repeated', collect)
    .option('--header <field>', "another field of its header, as 'X-Campaign: spring'; may be repeated", collect)
    .option(
      '--each <file>',
      'a CSV with names in its first line, or a JSON list: a mail for each row, with {{name}} filled in',
    )
    .option('--eml <file>', 'a whole message as it is; - for standard input')
    .option('--user <name>', 'sign in; the password is PORTICO_PASSWORD, or asked for')
    .addOption(
      new Option('--starttls <when>', 'TLS in the middle of the connection').choices(['offered', 'required', 'never']),
    )
    .option('--helo <name>', 'how this side calls itself')
    .option('--dry', 'print the mails, and send none')
    .option('--json', 'print a JSON line for each mail');
  addTls(command).action(send);
}

async function send(url: string, flags: SendFlags): Promise<void> {
  const letters = lettersOf(flags);
  if (flags.dry === true) {
    for (const { message } of letters) process.stdout.write(message);
    return;
  }
  const connection = await connected(url, flags);
  let failed = 0;
  for (const [at, letter] of letters.entries()) {
    const outcomes = await connection.send(letter);
    failed += outcomes.filter(({ state }) => state !== 'sent').length;
    show(letter, outcomes, flags);
    if (letters.length > 1 && process.stderr.isTTY) process.stderr.write(dim(`\r${at + 1} of ${letters.length} `));
  }
  if (letters.length > 1 && process.stderr.isTTY) process.stderr.write('\n');
  connection.close();
  if (failed > 0) process.exitCode = EXIT.refused;
}

/** All of them are made before the first is sent: what is wrong with one is said before anybody has any. */
function lettersOf(flags: SendFlags): readonly Written[] {
  if (flags.eml !== undefined) return [wholeLetter(flags.eml, flags)];
  const wantsInput = flags.text === undefined && flags.html === undefined && !process.stdin.isTTY;
  const text = wantsInput ? readText('-') : textOf(flags.text);
  const html = textOf(flags.html);
  const given = { ...flags, ...(text === undefined ? {} : { text }), ...(html === undefined ? {} : { html }) };
  const fixed = {
    date: Date.now(),
    random: () => randomBytes(12).toString('hex'),
    attachments: attachmentsOf(flags.attach ?? []),
  };
  const rows: readonly Row[] = flags.each === undefined ? [{}] : rowsOf(flags.each);
  return rows.map((row, at) => letterOf(given, row, rows.length > 1 ? `row ${at + 1}: ` : '', fixed));
}

function wholeLetter(path: string, { from, to = [], cc = [], bcc = [] }: SendFlags): Written {
  const message = Buffer.from(
    readBytes(path)
      .toString('latin1')
      .replace(/\r\n|\r|\n/g, '\r\n'),
    'latin1',
  );
  const all = [...to, ...cc, ...bcc].flatMap((text) => plainAddresses(text, '--to'));
  if (all.length === 0) fail('say whom it goes to with --to', EXIT.usage);
  const [sender = ''] = from === undefined ? [] : plainAddresses(from, '--from');
  return { from: sender, to: all, messageId: '', message };
}

async function connected(url: string, flags: SendFlags): Promise<SmtpConnection> {
  if (!URL.canParse(url)) fail(`${url} is no URL; say smtp://host:port`, EXIT.usage);
  const { hostname, username, password } = new URL(url);
  const user = flags.user ?? decodeURIComponent(username);
  const secret =
    user === ''
      ? ''
      : password === ''
        ? (process.env.PORTICO_PASSWORD ?? (await knownPassword(false, user)))
        : decodeURIComponent(password);
  try {
    return await connectSmtp(url, {
      ...{ user, password: secret, tls: tlsFor('smtps', hostname.replace(/^\[|\]$/g, ''), flags) ?? {} },
      startTls: flags.starttls ?? 'offered',
      ...(flags.helo === undefined ? {} : { name: flags.helo }),
    });
  } catch (error) {
    if (error instanceof TypeError) return fail(error.message, EXIT.usage);
    if (!(error instanceof ConnectionError)) throw error;
    const isRefused = / 5\d\d |sign in|password/i.test(error.message);
    return fail(`${error.message}${hintFor(url, error.message)}`, isRefused ? EXIT.refused : EXIT.unavailable);
  }
}

/** What a person can do about it. */
function hintFor(url: string, why: string): string {
  if (url.startsWith('smtps:') || !why.includes('handshake failed')) return tlsHint(why);
  return '; perhaps nobody trusted vouches for it: portico cert root > root.pem and --cacert root.pem, --insecure, or --starttls never';
}

function show({ to, messageId }: Written, outcomes: readonly RecipientOutcome[], flags: SendFlags): void {
  if (flags.json === true) {
    const recipients = outcomes.map(({ state, text }, at) => ({ to: to[at]!, state, text }));
    process.stdout.write(`${JSON.stringify({ messageId, recipients })}\n`);
    return;
  }
  for (const [at, { state, text }] of outcomes.entries()) {
    const colour = state === 'sent' ? green : state === 'transient' ? yellow : red;
    const words = state === 'sent' ? 'sent' : state === 'transient' ? 'not now' : 'refused';
    if (state === 'sent') process.stdout.write(`${to[at]!}: ${colour(words)} ${dim(text)}\n`);
    else complain(`${to[at]!}: ${words}: ${text}`);
  }
}
