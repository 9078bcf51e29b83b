// A server with something to steal and somebody who watches what is published, and clients that say exactly what they are
// told: for the tests of attacks.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { OPERATOR } from '../../src/core/caller.ts';
import { Portico, type StartOptions } from '../../src/portico.ts';
import type { Message } from '../../src/resources/topics/contract.ts';

export const SECRET = 'the-secret-of-the-house';
export const SECRET_TOPIC = 'house/secret';

export interface Victim extends AsyncDisposable {
  readonly portico: Portico;
  port(name: string): number;
  /** What was published since, as `topic=payload`. */
  readonly published: string[];
  /** Fails when anything was published; waits a moment for what may be on its way. */
  untouched(waitMs?: number): Promise<void>;
}

export async function startVictim(options: StartOptions = {}): Promise<Victim> {
  const portico = await Portico.start({ ports: 'ephemeral', storage: 'memory', ...options });
  const caller = OPERATOR;
  const settled = (begin: (waiter: { settled(token: number, outcome: number): void }) => void) =>
    new Promise<number>((resolve) => begin({ settled: (_token, outcome) => resolve(outcome) }));
  const secret = { topic: SECRET_TOPIC, payload: Buffer.from(SECRET), retain: true, assurance: 1 } as const;
  assert.equal(await settled((waiter) => portico.topics.publish(caller, secret, waiter, 0)), 0);
  const published: string[] = [];
  const watcher = {
    reserve: () => 1,
    deliver: ({ topic, payload }: Message) => void published.push(`${topic}=${Buffer.from(payload).toString()}`),
    release() {},
    gap() {},
    overflow() {},
    superseded() {},
  };
  const queue = { policy: 'disconnect', queueMessagesMax: 1_000, queueBytesMax: 1_000_000, name: 'watcher' } as const;
  const attachment = portico.topics.attach(caller, watcher, queue);
  await settled((waiter) => attachment.subscribe({ filter: '#', assurance: 0, retained: 'never' }, waiter, 0));
  return {
    portico,
    published,
    port: (name) => Number(new URL(portico.urls[name]!.replace(/^\w+:/, 'http:')).port),
    async untouched(waitMs = 50) {
      await new Promise((resolve) => setTimeout(resolve, waitMs));
      assert.deepEqual(published, []);
    },
    [Symbol.asyncDispose]: () => portico.close(),
  };
}

const QUIET_MS = 400;

export interface Heard {
  readonly text: string;
  /** The server ended the connection. */
  readonly ended: boolean;
}

/**
 * Sends these bytes in one write and hears until the server ends the connection, until `enough`, or for a time without
 * a byte.
 */
export function say(
  port: number,
  bytes: string | Uint8Array,
  enough: (text: string) => boolean = () => false,
  quietMs = QUIET_MS,
): Promise<Heard> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' });
    let text = '';
    const done = (ended: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ text, ended });
    };
    let timer = setTimeout(() => done(false), quietMs);
    socket.on('connect', () => socket.write(bytes));
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      if (enough(text)) {
        done(false);
        return;
      }
      clearTimeout(timer);
      timer = setTimeout(() => done(false), quietMs);
    });
    socket.on('end', () => done(true));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNRESET' || error.code === 'EPIPE') done(true);
      else reject(error);
    });
  });
}

export interface Answer {
  readonly status: number;
  readonly fields: ReadonlyMap<string, string>;
  readonly body: string;
}

/** A refusal is whole: its body has a length. Others end with the connection. */
function isWhole(text: string): boolean {
  const end = text.indexOf('\r\n\r\n');
  const length = /^content-length: (\d+)/im.exec(text);
  return end > 0 && length !== null && text.length >= end + 4 + Number(length[1]);
}

/** One request of HTTP/1.1 as it is told, Host too where `host` is not null; answers what came, whole or not. */
export async function request(
  port: number,
  start: string,
  fields: Readonly<Record<string, string>> | readonly (readonly [string, string])[] = {},
  {
    body = '',
    host = `localhost:${port}`,
    quietMs = QUIET_MS,
  }: { body?: string; host?: string | null; quietMs?: number } = {},
): Promise<Answer> {
  const given = Array.isArray(fields) ? fields : Object.entries(fields);
  const lines = [`${start} HTTP/1.1`, ...(host === null ? [] : [`Host: ${host}`])];
  for (const [name, value] of given) lines.push(`${name}: ${value}`);
  if (body !== '') lines.push(`Content-Length: ${Buffer.byteLength(body)}`);
  const upgrades = given.some(([name]) => name.toLowerCase() === 'connection');
  if (!upgrades) lines.push('Connection: close');
  const { text } = await say(port, `${lines.join('\r\n')}\r\n\r\n${body}`, isWhole, quietMs);
  const end = text.indexOf('\r\n\r\n');
  assert.ok(end > 0, `no answer but ${JSON.stringify(text)}`);
  const [first, ...rest] = text.slice(0, end).split('\r\n');
  const found = new Map<string, string>();
  for (const line of rest) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    found.set(name, found.has(name) ? `${found.get(name)}, ${value}` : value);
  }
  return {
    status: Number(first!.split(' ')[1]),
    fields: found,
    body: Buffer.from(text.slice(end + 4), 'latin1').toString('utf8'),
  };
}
