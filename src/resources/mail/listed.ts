// The fields of headers that listings, searches and sorts ask for, held in memory for mail that was looked at lately, as they
// stand in the header.
import { HeaderReader } from '../../formats/mime/header.ts';
import { MAIL_LIMITS } from './limits.ts';
import { Recent } from './recent.ts';

/** What mail clients list, in lower case. */
const FIELDS: ReadonlySet<string> = new Set([
  ...['date', 'subject', 'from', 'sender', 'reply-to', 'to', 'cc', 'bcc', 'in-reply-to', 'message-id', 'references'],
  ...['content-type', 'content-description', 'content-language', 'mime-version', 'newsgroups', 'lines'],
  ...['list-id', 'list-post', 'list-subscribe', 'list-unsubscribe', 'x-label', 'x-original-to', 'delivered-to'],
  ...['priority', 'x-priority', 'importance', 'x-mailer', 'user-agent', 'disposition-notification-to'],
]);

export function isListed(field: string): boolean {
  return FIELDS.has(field);
}

export class Listed {
  private readonly recent: Recent;

  constructor(bytesMax: number = MAIL_LIMITS.listedBytesMax) {
    this.recent = new Recent(bytesMax);
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
    return this.recent.keep(header, stretches, size);
  }

  /** What is held at a place; null where it went. */
  at(place: number): Buffer | null {
    return this.recent.at(place);
  }
}
