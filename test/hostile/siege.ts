// A server in a process of its own under siege, and what must hold whatever is done to it: it answers others, its memory
// comes back, it says little, and nothing of it was a bug.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { type Running, startServer } from '../server-process.ts';

export const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** How long somebody else may wait for an answer meanwhile. */
const ANSWER_MS = 3_000;
/** Lines of one kind of fault a minute, and a few kinds. */
const LINES_MOST = 40;

export interface Besieger {
  readonly socket: Socket;
  readonly text: string;
  readonly bytes: number;
  readonly over: boolean;
  says(bytes: string | Uint8Array): void;
  /** Until the server ended the connection, or said what is waited for. */
  hears(enough?: (text: string) => boolean, ms?: number): Promise<string>;
}

export interface Siege extends AsyncDisposable {
  readonly server: Running;
  readonly port: number;
  /** Opens a connection that says this; with `deaf`, it takes nothing of what is answered. */
  open(bytes?: string | Uint8Array, how?: { deaf?: boolean; at?: number }): Promise<Besieger>;
  crowd(count: number, bytes?: string | Uint8Array, how?: { deaf?: boolean; at?: number }): Promise<Besieger[]>;
  rss(): number;
  /** Runs an attack, resets all its connections, and looks at the server. */
  attack(run: () => Promise<void>, bounds?: { growthBytesMost?: number }): Promise<void>;
}

export async function besiege(args: readonly string[] = []): Promise<Siege> {
  const server = await startServer([
    '--storage',
    'memory',
    ...['http1', 'mqtt', 'lines'].flatMap((name) => ['--port', `${name}=0`]),
    ...args,
  ]);
  const port = server.port('http');
  const opened = new Set<Socket>();
  const rss = () => {
    const kept = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${server.process.pid}/status`, 'utf8'));
    return Number(kept![1]) * 1_024;
  };
  const open: Siege['open'] = (bytes = '', { deaf = false, at = port } = {}) =>
    new Promise((resolve) => {
      const socket = connect({ port: at, host: '127.0.0.1', allowHalfOpen: true });
      const texts: string[] = [];
      let length = 0;
      let over = false;
      opened.add(socket);
      const besieger: Besieger = {
        socket,
        get text() {
          return texts.join('');
        },
        get bytes() {
          return length;
        },
        get over() {
          return over;
        },
        says: (more) => void (over || socket.write(more)),
        async hears(enough = () => false, ms = 2_000) {
          const till = Date.now() + ms;
          while (!over && !enough(besieger.text) && Date.now() < till) await sleep(5);
          return besieger.text;
        },
      };
      if (!deaf)
        socket.on('data', (chunk) => {
          length += chunk.length;
          if (length < 262_144) texts.push(chunk.toString('latin1'));
        });
      for (const event of ['end', 'close', 'error'])
        socket.on(event, () => {
          over = true;
          resolve(besieger);
        });
      socket.on('connect', () => {
        if (deaf) socket.pause();
        if (bytes.length > 0) socket.write(bytes);
        resolve(besieger);
      });
    });
  const health = async () => {
    const began = performance.now();
    const response = await fetch(`http://127.0.0.1:${port}/healthz`, { signal: AbortSignal.timeout(10_000) });
    await response.arrayBuffer();
    assert.equal(response.status, 200);
    return performance.now() - began;
  };
  const bugs = async () => {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    return Number(/^portico_bugs_total (\d+)$/m.exec(text)![1]);
  };
  // What is compiled and collected with the first requests is nobody's attack.
  for (let count = 0; count < 20; count++) await health();
  await bugs();
  return {
    server,
    port,
    open,
    rss,
    async crowd(count, bytes, how) {
      const all: Besieger[] = [];
      while (all.length < count)
        all.push(
          ...(await Promise.all(Array.from({ length: Math.min(100, count - all.length) }, () => open(bytes, how)))),
        );
      return all;
    },
    async attack(run, { growthBytesMost = 128 * 1_048_576 } = {}) {
      const before = rss();
      const lines = server.complaints.length;
      let longest = 0;
      let under = true;
      const others = (async () => {
        while (under) {
          longest = Math.max(longest, await health());
          await sleep(50);
        }
      })();
      try {
        await run();
      } finally {
        for (const socket of opened) socket.resetAndDestroy();
        opened.clear();
        await sleep(100);
        under = false;
        await others;
      }
      assert.ok(longest < ANSWER_MS, `somebody else waited ${longest.toFixed(0)} ms`);
      const grown = rss() - before;
      assert.ok(grown < growthBytesMost, `${(grown / 1_048_576).toFixed(0)} MiB more than before`);
      const said = server.complaints.slice(lines);
      assert.ok(said.length <= LINES_MOST, `${said.length} lines in the log, such as ${said[0]}`);
      assert.equal(await bugs(), 0, server.complaints.join('\n'));
    },
    [Symbol.asyncDispose]: () => server.kill(),
  };
}

/** One frame of a client, masked with zeros. */
export function frame(first: number, body: string | Uint8Array): Buffer {
  const bytes = Buffer.from(body as Uint8Array);
  const { length } = bytes;
  const head = Buffer.alloc(length < 126 ? 6 : length < 65_536 ? 8 : 14);
  head[0] = first;
  if (length < 126) head[1] = 0x80 | length;
  else if (length < 65_536) {
    head[1] = 0x80 | 126;
    head.writeUInt16BE(length, 2);
  } else {
    head[1] = 0x80 | 127;
    head.writeBigUInt64BE(BigInt(length), 2);
  }
  return Buffer.concat([head, bytes]);
}

/** The request that opens a WebSocket. */
export function opening(path: string, fields = ''): string {
  return `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${fields}\r\n`;
}
