// Archives as they are written, entry by entry: tar with pax headers (POSIX.1-2001), and zip without compression
// (APPNOTE 6.3.10) with Zip64 where it is needed. It knows names, sizes and times, and no files.
export type ArchiveKind = 'tar' | 'tar.gz' | 'zip';

export function archiveOf(text: string): ArchiveKind | null {
  return text === 'tar' || text === 'tar.gz' || text === 'zip' ? text : text === '' ? 'zip' : null;
}

export const ARCHIVE_TYPES: Readonly<Record<ArchiveKind, string>> = {
  tar: 'application/x-tar',
  'tar.gz': 'application/gzip',
  zip: 'application/zip',
};

export interface ArchiveEntry {
  /** With `/` between levels; a folder's ends with one. */
  readonly name: string;
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly modified: number;
  /** Of the bytes; tar has none. */
  readonly crc: number;
}

/** What stands between the bytes of the files. */
export interface ArchiveFormat {
  before(entry: ArchiveEntry): Buffer;
  after(entry: ArchiveEntry): Buffer;
  end(): Buffer;
}

const BLOCK = 512;

export class Tar implements ArchiveFormat {
  before(entry: ArchiveEntry): Buffer {
    const { name, size } = entry;
    const isPlain = /^[\x20-\x7e]{1,99}$/.test(name) && size < 0o77777777777;
    const head = header(isPlain ? name : 'entry', size, entry, name.endsWith('/') ? '5' : '0');
    if (isPlain) return head;
    const records = Buffer.from(record('path', name) + record('size', String(size)));
    return Buffer.concat([header('pax', records.length, entry, 'x'), padded(records), head]);
  }

  after({ size }: ArchiveEntry): Buffer {
    return Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);
  }

  end(): Buffer {
    return Buffer.alloc(BLOCK * 2);
  }
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK)]);
}

/** `length name=value\n`, in which the length counts itself (POSIX.1-2001 pax §Extended Header). */
function record(name: string, value: string): string {
  const rest = ` ${name}=${value}\n`;
  const bytes = Buffer.byteLength(rest);
  let length = bytes + String(bytes).length;
  if (String(length).length !== String(bytes).length) length = bytes + String(length).length;
  return `${length}${rest}`;
}

function header(name: string, size: number, { modified }: ArchiveEntry, type: string): Buffer {
  const head = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, length: number) =>
    head.write(
      Math.max(0, Math.floor(value))
        .toString(8)
        .padStart(length - 1, '0'),
      at,
      length - 1,
      'latin1',
    );
  head.write(name, 0, 100, 'latin1');
  octal(type === '5' ? 0o755 : 0o644, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(Math.min(size, 0o77777777777), 124, 12);
  octal(Math.min(modified / 1_000, 0o77777777777), 136, 12);
  head.fill(' ', 148, 156);
  head.write(type, 156, 'latin1');
  head.write('ustar\x0000', 257, 'latin1');
  let sum = 0;
  for (const byte of head) sum += byte;
  head.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return head;
}

const FULL_32 = 0xffffffff;
/** Names are UTF-8 (APPNOTE §4.4.4 bit 11). */
const UTF8 = 0x0800;

export class Zip implements ArchiveFormat {
  private readonly central: Buffer[] = [];
  private at = 0;

  before(entry: ArchiveEntry): Buffer {
    const name = Buffer.from(entry.name);
    const { size, crc } = entry;
    const isLarge = size >= FULL_32;
    const extra = isLarge ? zip64([size, size]) : Buffer.alloc(0);
    const head = Buffer.alloc(30);
    head.writeUInt32LE(0x04034b50, 0);
    common(head, 4, entry, crc, isLarge, name.length, extra.length);
    this.remember(entry, name, crc);
    this.at += head.length + name.length + extra.length + size;
    return Buffer.concat([head, name, extra]);
  }

  after(): Buffer {
    return Buffer.alloc(0);
  }

  private remember(entry: ArchiveEntry, name: Buffer, crc: number): void {
    const { size } = entry;
    const isLarge = size >= FULL_32;
    const isFar = this.at >= FULL_32;
    const extra =
      isLarge || isFar ? zip64([...(isLarge ? [size, size] : []), ...(isFar ? [this.at] : [])]) : Buffer.alloc(0);
    const head = Buffer.alloc(46);
    head.writeUInt32LE(0x02014b50, 0);
    // Made by Unix, so that the modes below are read.
    head.writeUInt16LE(0x032d, 4);
    common(head, 6, entry, crc, isLarge || isFar, name.length, extra.length);
    const isFolder = entry.name.endsWith('/');
    head.writeUInt32LE(((isFolder ? 0o40755 : 0o100644) * 0x10000 + (isFolder ? 0x10 : 0)) >>> 0, 38);
    head.writeUInt32LE(isFar ? FULL_32 : this.at, 42);
    this.central.push(Buffer.concat([head, name, extra]));
  }

  end(): Buffer {
    const directory = Buffer.concat(this.central);
    const count = this.central.length;
    const isLarge = count >= 0xffff || this.at >= FULL_32 || directory.length >= FULL_32;
    const parts = [directory];
    if (isLarge) {
      const record = Buffer.alloc(56);
      record.writeUInt32LE(0x06064b50, 0);
      record.writeBigUInt64LE(44n, 4);
      record.writeUInt16LE(0x032d, 12);
      record.writeUInt16LE(45, 14);
      record.writeBigUInt64LE(BigInt(count), 24);
      record.writeBigUInt64LE(BigInt(count), 32);
      record.writeBigUInt64LE(BigInt(directory.length), 40);
      record.writeBigUInt64LE(BigInt(this.at), 48);
      const locator = Buffer.alloc(20);
      locator.writeUInt32LE(0x07064b50, 0);
      locator.writeBigUInt64LE(BigInt(this.at + directory.length), 8);
      locator.writeUInt32LE(1, 16);
      parts.push(record, locator);
    }
    const end = Buffer.alloc(22);
    end.writeUInt32LE(0x06054b50, 0);
    end.writeUInt16LE(Math.min(count, 0xffff), 8);
    end.writeUInt16LE(Math.min(count, 0xffff), 10);
    end.writeUInt32LE(Math.min(directory.length, FULL_32), 12);
    end.writeUInt32LE(Math.min(this.at, FULL_32), 16);
    return Buffer.concat([...parts, end]);
  }
}

/** The fields that both headers of an entry have (APPNOTE §4.3.7, §4.3.12), from the version that is needed on. */
function common(
  head: Buffer,
  at: number,
  { size, modified }: ArchiveEntry,
  crc: number,
  isLarge: boolean,
  nameLength: number,
  extraLength: number,
): void {
  head.writeUInt16LE(isLarge ? 45 : 20, at);
  head.writeUInt16LE(UTF8, at + 2);
  // Stored as it is.
  head.writeUInt16LE(0, at + 4);
  const time = new Date(Math.max(modified, Date.UTC(1980, 0, 1)));
  head.writeUInt16LE((time.getUTCHours() << 11) | (time.getUTCMinutes() << 5) | (time.getUTCSeconds() >> 1), at + 6);
  const years = Math.min(127, time.getUTCFullYear() - 1980);
  head.writeUInt16LE((years << 9) | ((time.getUTCMonth() + 1) << 5) | time.getUTCDate(), at + 8);
  head.writeUInt32LE(crc, at + 10);
  head.writeUInt32LE(Math.min(size, FULL_32), at + 14);
  head.writeUInt32LE(Math.min(size, FULL_32), at + 18);
  head.writeUInt16LE(nameLength, at + 22);
  head.writeUInt16LE(extraLength, at + 24);
}

function zip64(values: readonly number[]): Buffer {
  const extra = Buffer.alloc(4 + values.length * 8);
  extra.writeUInt16LE(1, 0);
  extra.writeUInt16LE(values.length * 8, 2);
  values.forEach((value, index) => {
    extra.writeBigUInt64LE(BigInt(value), 4 + index * 8);
  });
  return extra;
}
