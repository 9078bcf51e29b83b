// The fields of headers that listings, searches and sorts ask for, held in memory for mail that was looked at lately: as they
// stand in the header, one behind the other, in blocks of which the oldest goes for the newest.
import { HeaderReader } from '../../formats/mime/header.ts';
import { MAIL_LIMITS } from './limits.ts';

/** What mail clients list, in lower case. */
const FIELDS: ReadonlySet<string> = new Set([
  ...['date', 'subject', 'from', 'sender', 'reply-to', 'to', 'cc', 'bcc', 'in-reply-to', 'message-id', 'references'],
  ...['content-type', 'content-description', 'content-language', 'mime-version', 'newsgroups', 'lines'],
  ...['list-id', 'list-post', 'list-subscribe', 'list-unsubscribe', 'x-label', 'x-original-to', 'delivered-to'],
  ...['priority', 'x-priority', 'importance', 'x-mailer', 'user-agent', 'disposition-notification-to'],
]);

const BLOCK = 262_144;
/** Of one message: what is longer is not held. */
const ENTRY_MAX = 16_384;
const LENGTH = 4;

export function isListed(field: string): boolean {
  return FIELDS.has(field);
}

export class Listed {
  private readonly blocks: Buffer[];
  /** How many blocks there were, those that went among them. */
  private begun = 0;
  private used = BLOCK;

  constructor(bytesMax: number = MAIL_LIMITS.listedBytesMax) {
    this.blocks = new Array<Buffer>(Math.max(2, Math.floor(bytesMax / BLOCK)));
  }

  /** Holds the fields of a header; answers where, and 0 for one that is not held. */
  keep(header: Uint8Array): number {
    const reader = new HeaderReader(header, 0, header.length);
    const stretches: number[] = [];
    let size = 0;
    while (reader.next()) {
      if (!FIELDS.has(reader.name)) continue;
      stretches.push(reader.start, reader.end);
      size += reader.end - reader.start;
    }
    if (size > ENTRY_MAX) return 0;
    if (this.used + LENGTH + size > BLOCK) {
      // Whoever looks at one that goes holds it.
      this.blocks[this.begun++ % this.blocks.length] = Buffer.allocUnsafeSlow(BLOCK);
      this.used = 0;
    }
    const block = this.blocks[(this.begun - 1) % this.blocks.length]!;
    const place = this.begun * BLOCK + this.used;
    block.writeUInt32LE(size, this.used);
    this.used += LENGTH;
    for (let at = 0; at < stretches.length; at += 2) {
      block.set(header.subarray(stretches[at]!, stretches[at + 1]!), this.used);
      this.used += stretches[at + 1]! - stretches[at]!;
    }
    return place;
  }

  /** What is held at a place; null where it went. */
  at(place: number): Buffer | null {
    const number = Math.floor(place / BLOCK);
    if (number === 0 || number <= this.begun - this.blocks.length) return null;
    const block = this.blocks[(number - 1) % this.blocks.length]!;
    const start = place % BLOCK;
    return block.subarray(start + LENGTH, start + LENGTH + block.readUInt32LE(start));
  }
}
