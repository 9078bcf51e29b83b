// What a server tells of itself in class CHAOS: `version.bind`, `version.server`, `hostname.bind`, `id.server` (RFC 4892).
import { nameFrom, sameName } from '../../formats/dns/name.ts';
import { TYPE } from '../../formats/dns/records.ts';

const VERSIONS = ['version.bind.', 'version.server.'].map((name) => nameFrom(name)!);
const IDS = ['id.server.', 'hostname.bind.'].map((name) => nameFrom(name)!);

export class Chaos {
  private readonly version: Uint8Array;
  private readonly id: Uint8Array;
  /** TXT data of what was found. */
  data: Uint8Array;

  constructor(version: string, id: string) {
    this.version = stringOf(version);
    this.id = stringOf(id);
    this.data = this.version;
  }

  find(name: Uint8Array, type: number): boolean {
    if (type !== TYPE.TXT && type !== TYPE.ANY) return false;
    if (VERSIONS.some((known) => sameName(known, 0, name, 0))) this.data = this.version;
    else if (IDS.some((known) => sameName(known, 0, name, 0))) this.data = this.id;
    else return false;
    return true;
  }
}

function stringOf(text: string): Uint8Array {
  const bytes = Buffer.from(text).subarray(0, 255);
  return Uint8Array.from([bytes.length, ...bytes]);
}
