// What the checks of a mail came to, as a field of its header (RFC 8601), and that of others who pretend to be this server.
import { type ArcResult, verifyArc } from './arc.ts';
import type { CheckedMessage } from './canonical.ts';
import { type DkimResult, verifyDkim } from './dkim.ts';
import { checkDmarc, type DmarcResult } from './dmarc.ts';
import type { DnsFind } from './lookup.ts';
import { checkSpf, type SpfQuery, type SpfResult } from './spf.ts';

export interface Checks {
  readonly spf: SpfResult;
  readonly dkim: readonly DkimResult[];
  readonly dmarc: DmarcResult;
  readonly arc: ArcResult;
}

/** @param from domains of the From field @param now seconds since 1970 */
export async function checkMail(
  message: CheckedMessage,
  query: SpfQuery,
  from: readonly string[],
  find: DnsFind,
  now: number,
): Promise<Checks> {
  const [spf, dkim, arc] = await Promise.all([
    checkSpf(query, find),
    verifyDkim(message, find, now),
    verifyArc(message, find, now),
  ]);
  return { spf, dkim, arc, dmarc: await checkDmarc(from, spf, dkim, find) };
}

/** The value of the field, on lines of its own, without its name: `mx.example.org; spf=pass …`. */
export function resultsText(server: string, { spf, dkim, dmarc, arc }: Checks): string {
  const said = [
    method('spf', spf.result, spf.why, [[`smtp.${spf.identity}`, spf.domain]]),
    ...(dkim.length === 0
      ? [method('dkim', 'none', '', [])]
      : dkim.map(({ result, why, domain, selector, algorithm, begin }) =>
          method('dkim', result, why, [
            ['header.d', domain],
            ['header.s', selector],
            ['header.a', algorithm],
            ['header.b', begin],
          ]),
        )),
    method('dmarc', dmarc.result, dmarc.result === 'fail' ? `p=${dmarc.policy}` : '', [['header.from', dmarc.domain]]),
    ...(arc.result === 'none' ? [] : [method('arc', arc.result, arc.why, [])]),
  ];
  return [server, ...said].join(';\r\n\t');
}

function method(name: string, result: string, why: string, properties: readonly (readonly [string, string])[]): string {
  const comment = plain(why).replace(/[()\\]/g, '');
  const shown = properties.filter(([, value]) => value !== '').map(([key, value]) => ` ${key}=${valueText(value)}`);
  return `${name}=${result}${comment === '' ? '' : ` (${comment})`}${shown.join('')}`;
}

function valueText(value: string): string {
  const text = plain(value);
  return /^[A-Za-z0-9!#$%&'*+\-.^_`{|}~@/]+$/.test(text) ? text : `"${text.replace(/["\\]/g, '\\$&')}"`;
}

/** On one line, of printable characters. */
function plain(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 200);
}

/** A header without the results that somebody else put there in this server's name (RFC 8601 §5). */
export function withoutForged(head: Buffer, server: string): Buffer {
  const text = head.toString('latin1');
  const kept = text.replace(/^(?:[^\r\n]*\r?\n)(?:[ \t][^\r\n]*\r?\n)*/gm, (field) =>
    isForged(field, server) ? '' : field,
  );
  return kept.length === text.length ? head : Buffer.from(kept, 'latin1');
}

function isForged(field: string, server: string): boolean {
  const value = /^Authentication-Results[ \t]*:(.*)$/is.exec(field)?.[1];
  if (value === undefined) return false;
  const id = withoutComments(value.replace(/\r?\n/g, '')).trim().split(/[\s;]/, 1)[0]!;
  return id.replace(/^"(.*)"$/, '$1').toLowerCase() === server.toLowerCase();
}

function withoutComments(text: string): string {
  let out = '';
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!;
    if (char === '\\') at++;
    else if (char === '(') depth++;
    else if (char === ')') depth = Math.max(0, depth - 1);
    else if (depth === 0) out += char;
  }
  return out;
}
