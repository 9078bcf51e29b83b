// What mail of strangers is checked for before it is taken, by whoever can ask DNS; and the message as it is shown to him.
import { OK } from '../../core/outcome.ts';
import type { BodyHash, CheckedMessage } from '../../formats/mail-auth/canonical.ts';
import type { Blobs } from '../../storage/engine.ts';
import type { Incoming } from './incoming.ts';

export interface CheckedQuery {
  /** Of who connected. */
  readonly ip: string;
  /** How it greeted. */
  readonly helo: string;
  /** The reverse path. */
  readonly from: string;
}

export interface Checked {
  /** What was found, as a field of a header with its line end. */
  readonly field: string;
  /** The header of the message without what only this server may say. */
  readonly head: Buffer;
  /** What is to be done with it: refuse it, or put it with what nobody asked for. */
  readonly policy: 'none' | 'quarantine' | 'reject';
}

export interface MailChecks {
  /** Rejects where the message cannot be read. */
  check(query: CheckedQuery, message: CheckedMessage): Promise<Checked>;
}

/** A message that has come whole; null where its header is too long to be looked at. @param skip what was put before it */
export function checkedMessage(incoming: Incoming, blobs: Blobs, skip: number): CheckedMessage | null {
  const { head, headerSize, size, bytes, place } = incoming;
  if (head.length < headerSize) return null;
  return {
    head: head.subarray(skip),
    hash(hashes: readonly BodyHash[]) {
      if (bytes !== null) {
        for (const each of hashes) each.update(bytes, headerSize, size);
        return Promise.resolve();
      }
      return new Promise<void>((resolve, reject) => {
        blobs.read(place, headerSize, size, {
          room: 65_536,
          bytes: (data, start, end) => {
            for (const each of hashes) each.update(data, start, end);
          },
          end: (outcome) => (outcome === OK ? resolve() : reject(new Error('a message could not be read'))),
        });
      });
    },
  };
}
