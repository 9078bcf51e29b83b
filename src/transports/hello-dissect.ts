// What of a TLS handshake stands in the open, as labelled pieces: the client's hello. All behind it is for the library, which
// tells what it established; of that nobody here sees a byte.
import { KeptBytes } from '../bytes/kept.ts';
import { MORE } from '../bytes/reader.ts';
import type { Direction, Dissector, Piece } from '../core/tap.ts';
import { readClientHello } from './client-hello.ts';

const VERSIONS: Readonly<Record<number, string>> = {
  768: 'SSL 3.0',
  769: 'TLS 1.0',
  770: 'TLS 1.1',
  771: 'TLS 1.2',
  772: 'TLS 1.3',
};

export function helloDissector(direction: Direction, joinedLate: boolean): Dissector {
  return new HelloDissector(direction === 'in' && !joinedLate);
}

class HelloDissector implements Dissector {
  private readonly kept = new KeptBytes();
  private origin = 0;
  private expects: boolean;

  constructor(expects: boolean) {
    this.expects = expects;
  }

  push(bytes: Uint8Array, start: number, end: number): readonly Piece[] {
    const { kept } = this;
    kept.append(bytes, start, end);
    const hello = this.expects ? readClientHello(kept.bytes, kept.start, kept.end) : null;
    if (hello === MORE) return [];
    this.expects = false;
    const from = this.origin;
    const to = from + kept.length;
    this.origin = to;
    kept.clear();
    if (hello === null || typeof hello === 'number')
      return to === from ? [] : [{ label: 'bytes', value: `${to - from} bytes`, start: from, end: to, hidden: true }];
    const { serverName, alpn, versions, resumes } = hello;
    const pieces: Piece[] = [];
    const piece = (label: string, value: string) => void pieces.push({ label, value, start: from, end: to });
    if (serverName !== null) piece('server name', serverName);
    if (alpn.length > 0) piece('ALPN', alpn.join(', '));
    piece('versions', versions.map((version) => VERSIONS[version] ?? `0x${version.toString(16)}`).join(', '));
    if (resumes) piece('resumes', 'yes');
    // Its session tickets are secrets of both.
    const value = [serverName ?? '', alpn.join(', ')].filter((text) => text !== '').join(' ');
    return [{ label: 'ClientHello', value, start: from, end: to, pieces, hidden: true }];
  }
}
