// The multipart request of GraphQL: `operations`, then `map`, then files, whose bytes are put where the map says. Parts are
// those of multipart/form-data (RFC 7578), found in a body that is there as a whole.
import type { Fault } from '../../core/fault.ts';
import { faults } from './faults.ts';
import { isObject, readJson } from './request.ts';

export type Upload = { readonly operations: unknown } | { readonly fault: Fault; readonly detail: string };

interface Part {
  readonly name: string;
  readonly bytes: Buffer;
}

/** RFC 2046 §5.1.1. */
const BOUNDARY = /^[\w'()+,./:=? -]{0,69}[\w'()+,./:=?-]$/;
const HEAD_BYTES_MAX = 16_384;

/** At how many places one file may stand. */
const PLACES_MAX = 16;

/** Null when it is not well formed; `partsMax` bounds what is looked for. */
function partsOf(body: Buffer, boundary: string, partsMax: number): Part[] | null {
  const parts: Part[] = [];
  const line = Buffer.from(`\r\n--${boundary}`);
  // The first has no line break of its own.
  let at = body.subarray(0, line.length - 2).equals(line.subarray(2))
    ? line.length - 2
    : body.indexOf(line) + line.length;
  if (at < line.length - 2) return null;
  for (;;) {
    if (body[at] === 0x2d && body[at + 1] === 0x2d) return parts;
    // White space may stand behind the boundary.
    while (body[at] === 0x20 || body[at] === 0x09) at++;
    if (body[at] !== 0x0d || body[at + 1] !== 0x0a) return null;
    const end = body.indexOf(line, at);
    const head = body.indexOf('\r\n\r\n', at);
    if (end < 0 || head < 0 || head + 4 > end || head - at > HEAD_BYTES_MAX || parts.length === partsMax) return null;
    const name = nameOf(body.toString('utf8', at + 2, head));
    if (name === null) return null;
    parts.push({ name, bytes: body.subarray(head + 4, end) });
    at = end + line.length;
  }
}

function nameOf(head: string): string | null {
  const disposition = head.split('\r\n').find((field) => /^content-disposition:/i.test(field));
  const found = disposition === undefined ? null : /;\s*name="([^"]*)"/i.exec(disposition);
  return found === null ? null : found[1]!;
}

const wrong = (detail: string, fault: Fault = faults.badMultipart) => ({ fault, detail });

/** The operations with the files in their places. */
export function readUpload(body: Buffer, boundary: string, filesMax: number): Upload {
  if (!BOUNDARY.test(boundary)) return wrong('The boundary is missing or wrong.');
  const parts = partsOf(body, boundary, filesMax + 3);
  if (parts === null) return wrong('The body is no multipart/form-data with this boundary, or has too many parts.');
  const [first, second, ...files] = parts;
  if (first?.name !== 'operations' || second?.name !== 'map')
    return wrong('The first part is operations, the second map; files follow.');
  if (files.length > filesMax) return wrong(`The most is ${filesMax}.`, faults.filesTooMany);
  const operations = readJson(first.bytes);
  const map = readJson(second.bytes);
  if (!isObject(operations)) return wrong('operations is one request as a JSON object.');
  if (!isObject(map)) return wrong('map is a JSON object.');
  for (const [name, places] of Object.entries(map)) {
    const file = files.find((part) => part.name === name);
    if (file === undefined) return wrong(`map names ${JSON.stringify(name)}, and there is no such part.`);
    if (!Array.isArray(places) || places.length > PLACES_MAX) return wrong('map has for each file a list of places.');
    for (const place of places)
      if (typeof place !== 'string' || !put(operations, place, file.bytes))
        return wrong(`map names a place that is not null in operations: ${JSON.stringify(place)}.`);
  }
  return { operations };
}

/** `variables.files.0`: puts the bytes where there is null, and nowhere else. */
function put(operations: Record<string, unknown>, place: string, bytes: Uint8Array): boolean {
  const path = place.split('.');
  if (path[0] !== 'variables' || path.length < 2) return false;
  let at: unknown = operations;
  for (const name of path.slice(0, -1)) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return false;
    at = (at as Record<string, unknown>)[name];
  }
  const last = path.at(-1)!;
  if (typeof at !== 'object' || at === null || !Object.hasOwn(at, last)) return false;
  if ((at as Record<string, unknown>)[last] !== null) return false;
  (at as Record<string, unknown>)[last] = bytes;
  return true;
}
