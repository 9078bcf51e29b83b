// The two canonical forms of headers and bodies that signatures are made over (RFC 6376 §3.4). Headers are text of one character an
// octet; bodies are hashed as they come, in constant memory.
import { createHash, type Hash } from 'node:crypto';
import { headerEnd } from '../mime/header.ts';

export type Canonical = 'simple' | 'relaxed';

/** A field as it stands, without the line end that closes it. */
export interface Field {
  /** In lower case. */
  readonly name: string;
  readonly text: string;
}

/** The fields of a header, in order; what is none is passed over. */
export function fieldsOf(head: Buffer): Field[] {
  const found: Field[] = [];
  const lines = head.toString('latin1').split(/\r?\n/);
  let current = '';
  const add = () => {
    const name = /^([!-9;-~]+)[ \t]*:/.exec(current)?.[1];
    if (name !== undefined) found.push({ name: name.toLowerCase(), text: current });
  };
  for (const line of lines) {
    if (line === '') break;
    if (/^[ \t]/.test(line) && current !== '') current += `\r\n${line}`;
    else {
      add();
      current = line;
    }
  }
  add();
  return found;
}

export function valueOfField({ text }: Field): string {
  return text.slice(text.indexOf(':') + 1);
}

/** The value on one line. */
export function flat(text: string): string {
  return text.replace(/\r?\n/g, '').trim();
}

/** A field as it is signed, without a line end (RFC 6376 §3.4.1, §3.4.2). */
export function canonicalField({ name, text }: Field, form: Canonical): string {
  if (form === 'simple') return text;
  const value = text.slice(text.indexOf(':') + 1);
  return `${name}:${value
    .replace(/\r?\n/g, '')
    .replace(/[ \t]+/g, ' ')
    .trim()}`;
}

const CR = 0x0d;
const LF = 0x0a;
const SP = 0x20;
const TAB = 0x09;
const OUT = 16_384;

/** SHA-256 of a body in canonical form (RFC 6376 §3.4.3, §3.4.4). */
export class BodyHash {
  private readonly hash: Hash = createHash('sha256');
  private readonly isRelaxed: boolean;
  private readonly most: number;
  private readonly out = Buffer.allocUnsafe(OUT);
  private filled = 0;
  /** Canonical bytes so far, those past `most` among them. */
  private size = 0;
  private emptyLines = 0;
  private hasBlank = false;
  private hasContent = false;
  private afterCr = false;

  /** @param most of the canonical body that is hashed: the tag `l` */
  constructor(form: Canonical, most = Number.POSITIVE_INFINITY) {
    this.isRelaxed = form === 'relaxed';
    this.most = most;
  }

  update(bytes: Uint8Array, start: number, end: number): void {
    for (let at = start; at < end; at++) {
      const byte = bytes[at]!;
      if (this.afterCr && byte !== LF) this.content(CR);
      this.afterCr = byte === CR;
      if (byte === CR) continue;
      if (byte === LF) this.endLine();
      else if (this.isRelaxed && (byte === SP || byte === TAB)) this.hasBlank = true;
      else this.content(byte);
    }
  }

  /** Null when the body is shorter than what was to be hashed of it. */
  digest(): Buffer | null {
    if (this.hasContent || (!this.isRelaxed && this.size === 0)) this.lineEnd();
    this.flush();
    if (this.most !== Number.POSITIVE_INFINITY && this.size < this.most) return null;
    return this.hash.digest();
  }

  private content(byte: number): void {
    // Empty lines at the end are not signed: only now it is known that these are not there.
    for (; this.emptyLines > 0; this.emptyLines--) this.lineEnd();
    if (this.hasBlank) this.put(SP);
    this.hasBlank = false;
    this.put(byte);
    this.hasContent = true;
  }

  private endLine(): void {
    if (this.hasContent) this.lineEnd();
    else this.emptyLines++;
    this.hasContent = false;
    this.hasBlank = false;
  }

  private lineEnd(): void {
    this.put(CR);
    this.put(LF);
  }

  private put(byte: number): void {
    if (this.size++ >= this.most) return;
    this.out[this.filled++] = byte;
    if (this.filled === OUT) this.flush();
  }

  private flush(): void {
    this.hash.update(this.out.subarray(0, this.filled));
    this.filled = 0;
  }
}

/** A message that is checked or signed: its header, and its body as often as it is wanted. */
export interface CheckedMessage {
  /** With its empty line. */
  readonly head: Buffer;
  /** Gives the body to all of the hashes. Rejects when it cannot be read. */
  hash(hashes: readonly BodyHash[]): Promise<void>;
}

export function messageOf(bytes: Buffer): CheckedMessage {
  const body = headerEnd(bytes);
  return {
    head: bytes.subarray(0, body),
    async hash(hashes) {
      for (const each of hashes) each.update(bytes, body, bytes.length);
    },
  };
}
