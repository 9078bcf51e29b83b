// A retained value as a representation: its media type, its entity tag, the fields that it is given with, and how it is
// written in a target.

import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { Fields } from '../../core/fields.ts';
import { parseMediaType } from '../http/negotiate.ts';
import type { KeptFields } from '../http/representation.ts';
import { writeProperties } from './properties.ts';

/** What is represented; a message of the topics is one. */
export interface Value {
  readonly payload: Uint8Array;
  readonly contentType: string;
  readonly properties: readonly string[];
  readonly cursor: number;
}

/** What a field can have, and is the same to every recipient. */
const PRINTABLE = /^[\x20-\x7e]+$/;

/** What was worked out of a value, which never changes, for the next time that it is asked for. */
interface Known {
  type: string;
  tag: string;
  /** Of its answers as it is; null before the first. */
  readonly kept: KeptFields;
  fields: Fields | null;
}

const KNOWN = new WeakMap<Value, Known>();

function knownOf(value: Value): Known {
  let known = KNOWN.get(value);
  if (known === undefined) {
    known = { type: typeOf(value), tag: digestOf(value), kept: { fields: null }, fields: null };
    KNOWN.set(value, known);
  }
  return known;
}

/** The media type that a payload is given as: the publisher's, else what can be seen of it. */
export function mediaTypeOf(value: Value): string {
  return knownOf(value).type;
}

/** Where the fields of its answers are kept, for a value that is given as it is and does not expire. */
export function keptOf(value: Value): KeptFields {
  return knownOf(value).kept;
}

/** Fields that are the same at each answer, made at the first. */
export function sameFields(value: Value, make: () => Fields): Fields {
  const known = knownOf(value);
  known.fields ??= make().fix();
  return known.fields;
}

function typeOf({ contentType, payload }: Value): string {
  if (PRINTABLE.test(contentType) && parseMediaType(contentType) !== null) return contentType;
  return isUtf8(payload) ? 'text/plain; charset=utf-8' : 'application/octet-stream';
}

/** The value's entity tag without quotes: its cursor, or a digest of all that it is where its topic has no history. */
export function tagOf(value: Value): string {
  return knownOf(value).tag;
}

function digestOf({ cursor, contentType, properties, payload }: Value): string {
  if (cursor > 0) return String(cursor);
  const digest = createHash('sha256')
    .update(JSON.stringify([contentType, properties]))
    .update(payload);
  return digest.digest('base64url').slice(0, 22);
}

/**
 * The fields of a raw value. It was written by anybody: a browser shall neither guess what it is nor run what is in it.
 */
export function valueFields(value: Value, propertyBytesMax: number): Fields {
  const fields = Fields.of({
    'content-type': mediaTypeOf(value),
    'x-content-type-options': 'nosniff',
    'content-security-policy': "sandbox; default-src 'none'",
  });
  const left = writeProperties(value.properties, fields, propertyBytesMax);
  if (left > 0) fields.append('properties-left-out', String(left));
  return fields;
}

/** A topic or filter in a path: `/` stays, all else that a path cannot have is escaped. */
export function topicPath(topic: string): string {
  return `/topics/${topic.split('/').map(encoded).join('/')}`;
}

/** Percent-encoded; what is no Unicode, which cannot be written in a target, is replaced. */
export function encoded(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}
