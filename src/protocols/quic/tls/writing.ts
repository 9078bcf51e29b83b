// Writes messages and vectors of TLS: lengths are filled in when what they count is written.
import type { ByteWriter } from '../../../bytes/writer.ts';

/** Begins a message; answers what `close` takes. */
export function openMessage(out: ByteWriter, type: number): number {
  out.u8(type);
  return open(out, 3);
}

/** Begins a vector with a length of so many bytes. */
export function open(out: ByteWriter, lengthBytes: 1 | 2 | 3): number {
  for (let index = 0; index < lengthBytes; index++) out.u8(0);
  return out.length;
}

export function close(out: ByteWriter, from: number, lengthBytes: 1 | 2 | 3): void {
  let size = out.length - from;
  for (let index = 1; index <= lengthBytes; index++, size >>>= 8) out.bytes[from - index] = size;
}

export function closeMessage(out: ByteWriter, from: number): void {
  close(out, from, 3);
}

export function openExtension(out: ByteWriter, type: number): number {
  out.u16(type);
  return open(out, 2);
}

/** A whole extension of given content. */
export function extension(out: ByteWriter, type: number, content: Uint8Array): void {
  const at = openExtension(out, type);
  out.copy(content, 0, content.length);
  close(out, at, 2);
}

/** Bytes behind their length. */
export function vector(out: ByteWriter, lengthBytes: 1 | 2 | 3, content: Uint8Array): void {
  const at = open(out, lengthBytes);
  out.copy(content, 0, content.length);
  close(out, at, lengthBytes);
}

/** Numbers of 16 bits behind a length of two bytes. */
export function numbers(out: ByteWriter, list: readonly number[]): void {
  out.u16(list.length * 2);
  for (const number of list) out.u16(number);
}
