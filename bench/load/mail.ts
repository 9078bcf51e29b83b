// The load of the mail benches: `smtp` sends as fast as it is acknowledged, `fill` puts mails into a mailbox, `ask` times commands of
// IMAP, `idle` holds connections and looks at what the server's processes take meanwhile. One JSON line comes out.
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    port: { type: 'string', default: '0' },
    count: { type: 'string', default: '20' },
    warm: { type: 'string', default: '500' },
    run: { type: 'string', default: '2000' },
    watch: { type: 'string', default: '0' },
    user: { type: 'string', default: 'ann@example.org' },
  },
});
const port = Number(values.port);
const count = Number(values.count);

/** CPU seconds of a process, from `/proc`. */
function cpuOf(pid: string): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function told(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

const LINE = 'The quick brown fox jumps over the lazy dog, and goes home again.\r\n';

/** A mail of some 2 KB. */
function letter(at: number): string {
  return [
    `Received: from a.example.net by b.example.net with ESMTP id ${at}; Mon, 1 Jan 2024 10:00:00 +0000`,
    `DKIM-Signature: v=1; a=rsa-sha256; d=example.net; s=one; b=${'A'.repeat(300)}`,
    `From: Person ${at % 97} <p${at % 97}@example.net>`,
    'To: Ann <ann@example.org>',
    `Subject: ${(at * 7_919) % 10_007} is about thing ${at}`,
    `Date: ${1 + (at % 28)} Jan 2024 10:00:00 +0000`,
    `Message-ID: <${at}@example.net>`,
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
    '',
    LINE.repeat(20),
  ].join('\r\n');
}

// ---- SMTP ------------------------------------------------------------------------------------------------------------------

async function smtp(): Promise<void> {
  let sent = 0;
  let over = false;
  const message = `${letter(1)}.\r\n`;
  const run = () =>
    new Promise<void>((resolve, reject) => {
      const socket = connect(port, '127.0.0.1');
      let kept = '';
      let state = 0;
      // Of greeting, EHLO; then MAIL, RCPT and DATA together, and the message.
      const WAITS = [1, 1, 3, 1];
      let left = WAITS[0]!;
      socket.setNoDelay(true);
      socket.on('error', reject).on('close', () => (over ? resolve() : reject(new Error('the server went'))));
      socket.on('data', (data) => {
        kept += data.toString('latin1');
        for (let end = kept.indexOf('\r\n'); end >= 0; end = kept.indexOf('\r\n')) {
          const line = kept.slice(0, end);
          kept = kept.slice(end + 2);
          if (line[3] === '-') continue;
          if (!/^[23]/.test(line)) {
            socket.destroy(new Error(line));
            return;
          }
          if (--left > 0) continue;
          if (state === 3) sent++;
          state = state === 3 ? 2 : state + 1;
          left = WAITS[state]!;
          if (state === 1) socket.write('EHLO bench.example.net\r\n');
          else if (state === 2) {
            if (over) {
              socket.end('QUIT\r\n');
              return;
            }
            socket.write('MAIL FROM:<bob@example.net>\r\nRCPT TO:<ann@example.org>\r\nDATA\r\n');
          } else socket.write(message);
        }
      });
    });
  const all = Promise.all(Array.from({ length: count }, run));
  all.catch(() => {});
  const sleep = (ms: number) => Promise.race([new Promise((resolve) => setTimeout(resolve, ms)), all]);
  await sleep(Number(values.warm));
  const [from, began, own, server] = [sent, performance.now(), process.cpuUsage(), cpuOf(values.watch)];
  await sleep(Number(values.run));
  const seconds = (performance.now() - began) / 1_000;
  const used = process.cpuUsage(own);
  told({
    perSecond: (sent - from) / seconds,
    busy: (used.user + used.system) / 1e6 / seconds,
    serverBusy: (cpuOf(values.watch) - server) / seconds,
  });
  over = true;
  await all.catch(() => {});
}

// ---- IMAP ------------------------------------------------------------------------------------------------------------------

class Imap {
  readonly socket: Socket;
  private tail = '';
  private waiting: { tag: string; resolve: () => void; reject: (error: Error) => void } | null = null;
  private tags = 0;

  constructor() {
    this.socket = connect(port, '127.0.0.1');
    this.socket.setNoDelay(true);
    this.socket.on('error', (error) => this.waiting?.reject(error));
    this.socket.on('data', (data) => {
      this.tail = (this.tail + data.toString('latin1', Math.max(0, data.length - 4_096))).slice(-4_096);
      const { waiting } = this;
      if (waiting === null || !this.tail.endsWith('\r\n')) return;
      const from = this.tail.lastIndexOf('\n', this.tail.length - 2) + 1;
      const line = this.tail.slice(from);
      if (!line.startsWith(waiting.tag)) return;
      this.waiting = null;
      if (line.startsWith(`${waiting.tag}OK`) || waiting.tag === '+ ') waiting.resolve();
      else waiting.reject(new Error(line));
    });
  }

  ask(command: string, until = ''): Promise<void> {
    const tag = `t${++this.tags} `;
    return new Promise((resolve, reject) => {
      this.tail = '';
      this.waiting = { tag: until === '' ? tag : until, resolve, reject };
      this.socket.write(`${tag}${command}\r\n`);
    });
  }

  async enter(): Promise<this> {
    await new Promise((resolve) => this.socket.once('data', resolve));
    await this.ask(`LOGIN ${values.user} any`);
    return this;
  }
}

/** Over several connections, so that a server can make what comes at the same time durable together. */
async function fill(): Promise<void> {
  const connections = Math.min(50, Math.ceil(count / 20));
  const share = Math.ceil(count / connections);
  await Promise.all(
    Array.from({ length: connections }, async (_, number) => {
      const mailbox = await new Imap().enter();
      const most = Math.min(count, (number + 1) * share);
      for (let at = number * share; at < most; at++) {
        const mail = letter(at);
        await mailbox.ask(`APPEND INBOX {${mail.length}+}\r\n${mail}`);
      }
      mailbox.socket.destroy();
    }),
  );
  told({});
}

/** Milliseconds that each command took, the first time and the best of three after it. */
async function ask(): Promise<void> {
  const mailbox = await new Imap().enter();
  const took: { first: number; best: number }[] = [];
  for (const command of positionals.slice(1)) {
    const times: number[] = [];
    for (let round = 0; round < 4; round++) {
      const began = performance.now();
      await mailbox.ask(command);
      times.push(performance.now() - began);
      if (command.startsWith('SELECT')) {
        await mailbox.ask('UNSELECT');
        if (round === 3) await mailbox.ask(command);
      }
    }
    took.push({ first: times[0]!, best: Math.min(...times.slice(1)) });
  }
  mailbox.socket.destroy();
  told(took);
}

async function idle(): Promise<void> {
  const pagesOf = () => Number(readFileSync(`/proc/${values.watch}/statm`, 'latin1').split(' ')[1]) * 4_096;
  const opened: Imap[] = [];
  const open = async (most: number) => {
    while (opened.length < most) {
      const mailbox = await new Imap().enter();
      await mailbox.ask('SELECT INBOX');
      await mailbox.ask('IDLE', '+ ');
      opened.push(mailbox);
    }
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  };
  // What is made once is made by the first.
  await open(count);
  const before = pagesOf();
  await open(count * 2);
  const bytes = (pagesOf() - before) / count;
  for (const { socket } of opened) socket.destroy();
  told({ bytes });
}

const modes: Readonly<Record<string, () => Promise<void>>> = { smtp, fill, ask, idle };
await modes[positionals[0]!]!();
process.exit();
