// How mail is kept: keys and values of its space. One record for each message holds what listings need; the bytes stand in
// another, or in a blob.
import { u32 } from '../../bytes/reader.ts';
import type { SpecialUse } from './contract.ts';

// x/<mailbox>            a mailbox: JSON
// f/<folder id>          a folder: JSON
// u/<folder id>          its next UID, so that none is given twice: u32
// m/<folder id>/<uid>    a message
// e/<folder id>          UIDs that were expunged, appended: u32 each
// b/<folder id>/<uid>    a message's bytes, by where it was first
// r/<folder id>/<uid>    how many messages have these bytes, where it is more than one: u32
// s/<blob>               how many messages have this blob: u32
// i/<folder id>/h        a snapshot of what m/ has of a folder: JSON
// i/<folder id>/<chunk>  its columns, of some UIDs
// d/<folder id>          a folder that was removed and whose messages are not gone yet: as f/

export interface MailboxRecord {
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly created: number;
  /** Folders that are subscribed and not there. */
  readonly lost: readonly string[];
}

export interface FolderRecord {
  readonly id: number;
  readonly mailbox: string;
  readonly name: string;
  readonly use: SpecialUse;
  readonly subscribed: boolean;
  readonly uidValidity: number;
  /** Mail below this UID was told as recent. */
  readonly recent: number;
}

/** Where a message's bytes are. */
export interface Place {
  /** A blob, or 0. */
  readonly blob: number;
  /** Where it was first, when it is no blob. */
  readonly folder: number;
  readonly uid: number;
}

export interface MessageRecord extends Place {
  readonly flags: number;
  readonly keywords: readonly string[];
  readonly date: number;
  readonly size: number;
  readonly headerSize: number;
}

const VERSION = 1;
/** version u8 · flags u8 · size u32 · header size u32 · date f64 · blob f64 · folder u32 · uid u32 · keywords */
const HEAD = 34;

export function writeMessage(record: MessageRecord): Buffer {
  const words = Buffer.from(record.keywords.join(' '));
  const bytes = Buffer.allocUnsafe(HEAD + words.length);
  bytes[0] = VERSION;
  bytes[1] = record.flags;
  bytes.writeUInt32BE(record.size, 2);
  bytes.writeUInt32BE(record.headerSize, 6);
  bytes.writeDoubleBE(record.date, 10);
  bytes.writeDoubleBE(record.blob, 18);
  bytes.writeUInt32BE(record.folder, 26);
  bytes.writeUInt32BE(record.uid, 30);
  words.copy(bytes, HEAD);
  return bytes;
}

/** Throws for a record of a newer version. */
export function readMessage(value: Uint8Array): MessageRecord {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (bytes[0] !== VERSION)
    throw new Error(`a message is kept in version ${bytes[0]}, which is newer than this Portico`);
  const words = bytes.toString('utf8', HEAD);
  return {
    flags: bytes[1]!,
    size: u32(bytes, 2),
    headerSize: u32(bytes, 6),
    date: bytes.readDoubleBE(10),
    blob: bytes.readDoubleBE(18),
    folder: u32(bytes, 26),
    uid: u32(bytes, 30),
    keywords: words === '' ? [] : words.split(' '),
  };
}

export function number32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function writeUids(uids: readonly number[]): Buffer {
  const bytes = Buffer.allocUnsafe(uids.length * 4);
  for (let at = 0; at < uids.length; at++) bytes.writeUInt32BE(uids[at]!, at * 4);
  return bytes;
}

export function readUids(bytes: Uint8Array): number[] {
  const uids: number[] = [];
  for (let at = 0; at + 4 <= bytes.length; at += 4) uids.push(u32(bytes, at));
  return uids;
}

export function encoded(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

export function decoded<Value>(bytes: Uint8Array): Value {
  return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()) as Value;
}

export const messageKey = (folder: number, uid: number): string => `m/${folder}/${uid}`;
export const bytesKey = (folder: number, uid: number): string => `b/${folder}/${uid}`;
export const sharedKey = (folder: number, uid: number): string => `r/${folder}/${uid}`;
export const blobKey = (blob: number): string => `s/${blob}`;
export const folderKey = (folder: number): string => `f/${folder}`;
export const uidKey = (folder: number): string => `u/${folder}`;
export const expungedKey = (folder: number): string => `e/${folder}`;
export const mailboxKey = (name: string): string => `x/${name}`;
export const snapshotPrefix = (folder: number): string => `i/${folder}/`;
export const removedKey = (folder: number): string => `d/${folder}`;
