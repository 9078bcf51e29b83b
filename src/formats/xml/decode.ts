// A document as UTF-8, whatever it came in: by its mark, by what the carrier says, by its own declaration, in this order
// (XML 1.0 appendix F). Only UTF-8, UTF-16 and Latin-1 are read.
import { isUtf8 } from 'node:buffer';
import { latin1 } from '../../bytes/reader.ts';
import { DECLARATION } from './chars.ts';
import { XML_FAULTS, type XmlFault } from './faults.ts';

/** @param charset what the carrier says, in lower case; '' for nothing */
export function utf8Document(bytes: Buffer, charset: string): Buffer | XmlFault {
  if (bytes[0] === 0xff && bytes[1] === 0xfe)
    return charset === '' || charset.startsWith('utf-16') ? utf16(bytes, 'utf-16le') : XML_FAULTS.encoding;
  if (bytes[0] === 0xfe && bytes[1] === 0xff)
    return charset === '' || charset.startsWith('utf-16') ? utf16(bytes, 'utf-16be') : XML_FAULTS.encoding;
  const marked = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  const said = charset !== '' ? charset : marked ? 'utf-8' : declared(bytes);
  switch (said) {
    case '':
    case 'utf-8':
    case 'utf8':
    case 'us-ascii':
    case 'ascii':
      return isUtf8(bytes) ? (marked ? bytes.subarray(3) : bytes) : XML_FAULTS.notUtf8;
    case 'utf-16le':
    case 'utf-16be':
      return utf16(bytes, said);
    case 'iso-8859-1':
    case 'latin1':
      return Buffer.from(latin1(bytes, 0, bytes.length));
    default:
      return XML_FAULTS.encoding;
  }
}

function utf16(bytes: Buffer, encoding: 'utf-16le' | 'utf-16be'): Buffer | XmlFault {
  try {
    return Buffer.from(new TextDecoder(encoding, { fatal: true }).decode(bytes));
  } catch {
    return XML_FAULTS.notUtf8;
  }
}

function declared(bytes: Buffer): string {
  if (bytes[0] !== 0x3c || bytes[1] !== 0x3f) return '';
  const found = DECLARATION.exec(latin1(bytes, 0, Math.min(bytes.length, 256)));
  return (found?.[1] ?? found?.[2] ?? '').toLowerCase();
}
