// The clients of Lines in a crash run: one that publishes with `PUB!` and keeps what was acknowledged, one that resumes
// behind its last cursor on each connection.
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

const TOPIC = 'lane';
const AGAIN_MS = 25;

/** How many publishes may be without an answer. */
const OPEN_MAX = 16;

export class LinesLane {
  sent = 0;
  /** What was acknowledged, with its cursor. */
  readonly acknowledged = new Map<number, number>();
  /** What the reader was given, with its cursor, in order. */
  readonly received: { readonly number: number; readonly cursor: number }[] = [];
  readonly gaps: string[] = [];
  private readonly port: number;
  private readonly sockets = new Set<Socket>();
  private publishing = true;
  private over = false;
  /** The numbers that await their answers, in order. */
  private open: number[] = [];

  constructor(port: number) {
    this.port = port;
    this.publisher();
    this.reader();
  }

  /** Begins no more publishes. */
  rest(): void {
    this.publishing = false;
  }

  close(): void {
    this.over = true;
    for (const socket of this.sockets) socket.destroy();
  }

  /** What is wrong, as an AssertionError. */
  judge(): void {
    const { received, acknowledged } = this;
    assert.deepEqual(this.gaps, []);
    assert.ok(acknowledged.size > 0, 'no line was acknowledged');
    const cursors = new Map(received.map(({ number, cursor }) => [number, cursor]));
    assert.equal(cursors.size, received.length, 'a line came twice');
    for (const [number, cursor] of acknowledged)
      assert.equal(cursors.get(number), cursor, `line ${number}, acknowledged at ${cursor}`);
    for (let at = 1; at < received.length; at++)
      assert.ok(
        received[at]!.cursor > received[at - 1]!.cursor,
        `${received[at]!.cursor} after ${received[at - 1]!.cursor}`,
      );
  }

  private publisher(): void {
    this.connected(
      (socket) => {
        this.open = [];
        const timer = setInterval(() => {
          while (this.publishing && this.open.length < OPEN_MAX) {
            this.open.push(++this.sent);
            socket.write(`PUB! ${TOPIC} ${this.sent}\n`);
          }
        }, 5);
        // What was under way may have been committed or not: it was not acknowledged.
        socket.on('close', () => {
          clearInterval(timer);
          this.open = [];
        });
      },
      (line) => {
        const { ok, cursor, ...more } = JSON.parse(line) as { ok?: boolean; cursor?: string };
        // A server that leaves says so; nothing else is not an answer.
        if (ok === true && cursor !== undefined) this.acknowledged.set(this.open.shift()!, Number(cursor));
        else assert.ok(line.includes('GONE'), `answered ${line} ${JSON.stringify(more)}`);
      },
    );
  }

  private reader(): void {
    this.connected(
      (socket) => socket.write(`SUB ${TOPIC} after=${this.received.at(-1)?.cursor ?? 0}\n`),
      (line) => {
        const { topic, payload, cursor } = JSON.parse(line) as { topic?: string; payload?: string; cursor?: string };
        if (topic === TOPIC) this.received.push({ number: Number(payload), cursor: Number(cursor) });
        else if (line.includes('gap')) this.gaps.push(line);
      },
    );
  }

  /** Connects, and again whenever the connection is gone. */
  private connected(begin: (socket: Socket) => void, heard: (line: string) => void): void {
    if (this.over) return;
    const socket = connect(this.port, '127.0.0.1');
    this.sockets.add(socket);
    socket.on('error', () => {});
    socket.on('connect', () => {
      socket.write('JSON\n');
      begin(socket);
      // Only whole lines: the last one may have been cut off.
      let rest = '';
      socket.on('data', (chunk) => {
        const lines = (rest + String(chunk)).split('\n');
        rest = lines.pop()!;
        for (const line of lines) heard(line);
      });
    });
    socket.on('close', () => {
      this.sockets.delete(socket);
      setTimeout(() => this.connected(begin, heard), AGAIN_MS);
    });
  }
}

/** Asks for a retained value. */
export async function lastOf(port: number, topic: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.end(`LAST ${topic}\n`);
  let last = '';
  for await (const line of createInterface({ input: socket })) last = line;
  return last;
}
