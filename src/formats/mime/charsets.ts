// Bytes to text by the names that mail gives to character sets. A name that nobody knows is read as UTF-8 where that fits,
// else one character a byte, so that nothing is unreadable.
import { isUtf8 } from '../../bytes/reader.ts';

const DECODERS = new Map<string, TextDecoder | null>();
/** Names come from the mail: only so many are remembered. */
const DECODERS_MAX = 200;

/** Names of the mail world that the Encoding Standard does not have. */
const ALIASES: Readonly<Record<string, string>> = {
  'cp-850': 'ibm850',
  'ks_c_5601-1987': 'euc-kr',
  'iso-8859-8-i': 'iso-8859-8',
  'utf-7': 'utf-8',
};

function decoderOf(charset: string): TextDecoder | null {
  const name = charset.trim().toLowerCase();
  const known = DECODERS.get(name);
  if (known !== undefined) return known;
  let made: TextDecoder | null = null;
  try {
    made = new TextDecoder(ALIASES[name] ?? name);
  } catch {
    // No such name.
  }
  if (DECODERS.size < DECODERS_MAX) DECODERS.set(name, made);
  return made;
}

export function decodeText(bytes: Uint8Array, charset: string): string {
  const plain = charset === '' || /^(?:us-ascii|ascii|utf-?8)$/i.test(charset);
  if (plain || decoderOf(charset) === null) {
    const of = bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return of.toString(isUtf8(bytes, 0, bytes.length) ? 'utf8' : 'latin1');
  }
  return decoderOf(charset)!.decode(bytes);
}
