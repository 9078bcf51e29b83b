// The record layer of TLS 1.3 (RFC 8446 §5), as small as it can be: with it the handshake speaks over TCP with software that
// we did not write. Its keys come from the lines of the key log.
import { createCipheriv, createDecipheriv } from 'node:crypto';
import type { Socket } from 'node:net';
import type { Fault } from '../../../../core/fault.ts';
import {
  APPLICATION,
  HANDSHAKE,
  type Handshake,
  type HandshakeEvents,
  INITIAL,
  type Level,
  type Ticket,
} from '../../crypto.ts';
import { expandLabel } from '../../protection/labels.ts';
import { type Suite, suiteOf } from '../../protection/suites.ts';
import { type ClientOptions, clientHandshake, type ServerOptions, serverHandshake } from '../index.ts';

const HANDSHAKE_RECORD = 22;
const ALERT_RECORD = 21;
const DATA_RECORD = 23;
const CHANGE_CIPHER_SPEC = 20;

/** Keys of one direction at one level. */
class Keys {
  private readonly suite: Suite;
  private readonly key: Buffer;
  private readonly iv: Buffer;
  private sequence = 0n;

  constructor(suite: Suite, secret: Buffer) {
    this.suite = suite;
    this.key = expandLabel(suite.hash, secret, 'key', suite.keyBytes);
    this.iv = expandLabel(suite.hash, secret, 'iv', 12);
  }

  private nonce(): Buffer {
    const nonce = Buffer.from(this.iv);
    nonce.writeBigUInt64BE(nonce.readBigUInt64BE(4) ^ this.sequence++, 4);
    return nonce;
  }

  seal(type: number, content: Uint8Array): Buffer {
    const head = Buffer.from([DATA_RECORD, 3, 3, 0, 0]);
    head.writeUInt16BE(content.length + 17, 3);
    const cipher = createCipheriv(this.suite.aead as 'aes-128-gcm', this.key, this.nonce(), { authTagLength: 16 });
    cipher.setAAD(head);
    const text = cipher.update(Buffer.concat([content, Buffer.from([type])]));
    cipher.final();
    return Buffer.concat([head, text, cipher.getAuthTag()]);
  }

  open(record: Buffer): { type: number; content: Buffer } {
    const cipher = createDecipheriv(this.suite.aead as 'aes-128-gcm', this.key, this.nonce(), { authTagLength: 16 });
    cipher.setAAD(record.subarray(0, 5));
    cipher.setAuthTag(record.subarray(-16));
    const text = cipher.update(record.subarray(5, -16));
    cipher.final();
    let end = text.length;
    while (text[end - 1] === 0) end--;
    return { type: text[end - 1]!, content: text.subarray(0, end - 1) };
  }
}

export class Records implements HandshakeEvents {
  readonly handshake: Handshake;
  readonly tickets: Ticket[] = [];
  /** What the other end said, once the handshake was done. */
  data = '';
  fault: Fault | null = null;
  /** The description of the alert that came. */
  alert: number | null = null;
  private readonly socket: Socket;
  private readonly role: 'client' | 'server';
  private readonly secrets = new Map<string, Buffer>();
  private readonly known = new Map<string, Keys>();
  private readonly clock: { now: number; wall: number };
  private input = Buffer.alloc(0);

  constructor(socket: Socket, role: 'client' | 'server', options: ClientOptions & ServerOptions, wall: number) {
    this.socket = socket;
    this.role = role;
    this.clock = { now: 0, wall };
    const policy = {
      ...options.policy,
      keyLog: (line: Buffer) => {
        const [label, , secret] = String(line).trim().split(' ');
        this.secrets.set(label!, Buffer.from(secret!, 'hex'));
      },
    };
    const own = { ...options, policy, carrier: 'records' as const };
    this.handshake = role === 'client' ? clientHandshake(own, this) : serverHandshake(own, this);
    socket.on('data', (chunk: Buffer) => this.read(chunk));
    socket.on('error', () => {});
    this.handshake.begin(new Uint8Array(), this.clock);
  }

  write(text: string): void {
    this.socket.write(this.keysOf(this.role, APPLICATION)!.seal(DATA_RECORD, Buffer.from(text)));
  }

  end(): void {
    if (!this.socket.destroyed) this.socket.end();
  }

  private keysOf(side: 'client' | 'server', level: Level): Keys | null {
    if (level === INITIAL) return null;
    const name = side.toUpperCase() + (level === HANDSHAKE ? '_HANDSHAKE_TRAFFIC_SECRET' : '_TRAFFIC_SECRET_0');
    const secret = this.secrets.get(name);
    if (secret === undefined) return null;
    let keys = this.known.get(name);
    if (keys === undefined) this.known.set(name, (keys = new Keys(suiteOf(this.handshake.suite)!, secret)));
    return keys;
  }

  send(level: Level, bytes: Uint8Array, start: number, end: number): void {
    for (let at = start; at < end; at += 16_000)
      this.record(level, HANDSHAKE_RECORD, Buffer.from(bytes.subarray(at, Math.min(end, at + 16_000))));
  }

  private record(level: Level, type: number, content: Buffer): void {
    const keys = this.keysOf(this.role, level);
    const head = Buffer.from([type, 3, 3, content.length >> 8, content.length & 0xff]);
    this.socket.write(keys === null ? Buffer.concat([head, content]) : keys.seal(type, content));
  }

  private read(chunk: Buffer): void {
    this.input = Buffer.concat([this.input, chunk]);
    while (this.fault === null && this.input.length >= 5) {
      const size = 5 + this.input.readUInt16BE(3);
      if (this.input.length < size) return;
      const record = this.input.subarray(0, size);
      this.input = this.input.subarray(size);
      this.take(record);
    }
  }

  private take(record: Buffer): void {
    if (record[0] === CHANGE_CIPHER_SPEC) return;
    const other = this.role === 'client' ? 'server' : 'client';
    const level = this.handshake.complete ? APPLICATION : this.secrets.size > 0 ? HANDSHAKE : INITIAL;
    const sealed = record[0] === DATA_RECORD;
    const { type, content } = sealed
      ? this.keysOf(other, level)!.open(record)
      : { type: record[0], content: record.subarray(5) };
    if (type === ALERT_RECORD) this.alert = content[1]!;
    else if (type === DATA_RECORD) this.data += String(content);
    else this.fault = this.handshake.receive(level, content, 0, content.length, this.clock);
    if (this.fault === null) return;
    // A server writes with the last keys when its own Finished is out.
    const last = this.role === 'server' && this.secrets.has('SERVER_TRAFFIC_SECRET_0') ? APPLICATION : HANDSHAKE;
    this.record(this.secrets.size > 0 ? last : INITIAL, ALERT_RECORD, Buffer.from([2, this.fault.wire & 0xff]));
    this.socket.end();
  }

  keys(): void {}
  parameters(): null {
    return null;
  }
  earlyRefused(): void {}
  ticket(ticket: Ticket): void {
    this.tickets.push(ticket);
  }
}
