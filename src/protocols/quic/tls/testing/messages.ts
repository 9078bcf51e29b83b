// Takes messages of the handshake apart and puts them together otherwise, for tests of what must not be taken.
import { u16 } from '../../../../bytes/reader.ts';
import { messageBytes } from '../hello.ts';

export type Extension = readonly [type: number, content: Buffer];

/** The messages of one flight, header and all. */
export function messagesOf(bytes: Buffer): Buffer[] {
  const messages: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += messages.at(-1)!.length)
    messages.push(bytes.subarray(at, at + messageBytes(bytes, at)));
  return messages;
}

/** A message of this type and content. */
export function message(type: number, content: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([type, content.length >> 16, content.length >> 8, content.length]), content]);
}

/** Where the list of extensions begins, by type: ClientHello, ServerHello, ticket, EncryptedExtensions, CertificateRequest. */
function extensionsAt(bytes: Buffer): number {
  const random = 4 + 34;
  const behindSession = random + 1 + bytes[random]!;
  switch (bytes[0]) {
    case 1: {
      const behindSuites = behindSession + 2 + u16(bytes, behindSession);
      return behindSuites + 1 + bytes[behindSuites]!;
    }
    case 2:
      return behindSession + 3;
    case 4: {
      const behindNonce = 13 + bytes[12]!;
      return behindNonce + 2 + u16(bytes, behindNonce);
    }
    case 13:
      return 5 + bytes[4]!;
    default:
      return 4;
  }
}

export function extensionsOf(bytes: Buffer): Extension[] {
  const list: Extension[] = [];
  for (let at = extensionsAt(bytes) + 2; at < bytes.length; ) {
    const size = u16(bytes, at + 2);
    list.push([u16(bytes, at), bytes.subarray(at + 4, at + 4 + size)]);
    at += 4 + size;
  }
  return list;
}

export function withExtensions(bytes: Buffer, list: readonly Extension[]): Buffer {
  const written = list.map(([type, content]) =>
    Buffer.concat([Buffer.from([type >> 8, type, content.length >> 8, content.length]), content]),
  );
  const size = written.reduce((sum, one) => sum + one.length, 0);
  const content = [bytes.subarray(4, extensionsAt(bytes)), Buffer.from([size >> 8, size]), ...written];
  return message(bytes[0]!, Buffer.concat(content));
}

/** With one extension's content replaced, or the extension removed where that is null, or added where it is not there. */
export function changed(bytes: Buffer, type: number, content: string | null): Buffer {
  const list = extensionsOf(bytes);
  const at = list.findIndex(([own]) => own === type);
  const wanted: Extension[] = content === null ? [] : [[type, Buffer.from(content, 'hex')]];
  // pre_shared_key has to stay last.
  if (at < 0) list.unshift(...wanted);
  else list.splice(at, 1, ...wanted);
  return withExtensions(bytes, list);
}
