// LOCK and UNLOCK (RFC 4918 §9.10, §9.11), and what an If field says of them (§10.4).
import type { Exchange } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import { EXISTS, INVALID, MISSING, OK, type Outcome, STALE } from '../../core/outcome.ts';
import type { Lock } from '../../resources/files/contract.ts';
import { answerFileOutcome, during, pathOf, refuse } from '../files/server-answers.ts';
import { answerBytes, answerNothing, answerProblem } from '../http/answers.ts';
import { type ConditionList, childOf, DAV, type Element, readIf, writeElement } from './codec.ts';
import { faults } from './faults.ts';
import type { DavHost } from './server.ts';
import { lockXml, PREFIX } from './server-properties.ts';

/** Where a client asks for none, and the most that it gets. */
const TIMEOUT_MS = 600_000;
const TIMEOUT_MOST = 3_600_000;

function timeoutOf({ fields }: Exchange): number {
  for (const part of (fields.joined('timeout') ?? '').split(',')) {
    const found = /^\s*Second-(\d{1,10})\s*$/i.exec(part);
    if (found !== null) return Math.min(TIMEOUT_MOST, Math.max(1, Number(found[1])) * 1_000);
    if (/^\s*Infinite\s*$/i.test(part)) return TIMEOUT_MOST;
  }
  return TIMEOUT_MS;
}

/** Whether what If says holds: one of its lists, with all its conditions. OK without an If. */
export async function checkIf(exchange: Exchange, host: DavHost, path: string): Promise<Outcome> {
  const text = exchange.fields.joined('if');
  if (text === null) return OK;
  const lists = readIf(text);
  if (lists === null) return INVALID;
  for (const list of lists) if (await holds(exchange, host, path, list)) return OK;
  return STALE;
}

async function holds(exchange: Exchange, host: DavHost, own: string, list: ConditionList): Promise<boolean> {
  const files = host.resources.files!;
  const path = list.resource === '' ? own : resourcePath(list.resource);
  if (path === null) return false;
  for (const { not, token, etag } of list.conditions) {
    let is = false;
    if (token !== null) is = files.locks.on(path).some((lock) => lock.token === token);
    else {
      const facts = await files.stat(exchange.caller, path);
      is = typeof facts === 'object' && `"${facts.version}"` === etag;
    }
    if (is === not) return false;
  }
  return true;
}

function resourcePath(uri: string): string | null {
  const target = uri.replace(/^https?:\/\/[^/]*/i, '');
  return target.startsWith(PREFIX) ? pathOf(target, PREFIX) : null;
}

export function takeLock(exchange: Exchange, host: DavHost, path: string, body: Element | null): void {
  const files = host.resources.files!;
  const depth = exchange.fields.get('depth')?.toLowerCase() ?? 'infinity';
  if (depth !== '0' && depth !== 'infinity') {
    refuse(exchange, faults.badDepth);
    return;
  }
  if (body === null) {
    refresh(exchange, host, path);
    return;
  }
  const scope = childOf(body, 'lockscope');
  const type = childOf(body, 'locktype');
  const isShared = scope !== null && childOf(scope, 'shared') !== null;
  const isOne = isShared || (scope !== null && childOf(scope, 'exclusive') !== null);
  if (body.uri !== DAV || body.local !== 'lockinfo' || !isOne || type === null || childOf(type, 'write') === null) {
    refuse(exchange, faults.badBody);
    return;
  }
  const said = childOf(body, 'owner');
  const owner = said === null ? '' : ownerXml(said);
  during(exchange, host, async (waiting) => {
    const may = await checkIf(exchange, host, path);
    if (waiting.isOver) return;
    if (may !== OK) {
      answerFileOutcome(exchange, may, files, path);
      return;
    }
    const there = await files.stat(exchange.caller, path);
    const wish = { isShared, isDeep: depth === 'infinity', owner, timeoutMs: timeoutOf(exchange) };
    const lock = files.locks.take(exchange.caller, path, wish);
    if (typeof lock === 'number') {
      if (!waiting.isOver) answerFileOutcome(exchange, lock, files, path);
      return;
    }
    // What is not there yet is made, and is empty (RFC 4918 §7.3).
    const made = there === MISSING ? await makeEmpty(host, exchange, path, lock.token) : OK;
    if (waiting.isOver) {
      files.locks.release(exchange.caller, path, lock.token);
      return;
    }
    if (made === OK) answerLock(exchange, host, lock, there === MISSING ? 201 : 200);
    else {
      files.locks.release(exchange.caller, path, lock.token);
      answerFileOutcome(exchange, made === MISSING ? EXISTS : made, files, path);
    }
  });
}

/** What a client says of itself, as it said it. */
function ownerXml(said: Element): string {
  const whole = writeElement({ ...said, attributes: [] });
  return whole.endsWith('/>') ? '' : whole.slice('<D:owner>'.length, -'</D:owner>'.length);
}

async function makeEmpty(host: DavHost, { caller }: Exchange, path: string, token: string): Promise<Outcome> {
  const file = await host.resources.files!.write(caller, path, { begin: 'fresh', locks: [token] });
  if (typeof file === 'number') return file;
  const made = await file.commit();
  return typeof made === 'number' ? made : OK;
}

function refresh(exchange: Exchange, host: DavHost, path: string): void {
  const files = host.resources.files!;
  const lists = readIf(exchange.fields.joined('if') ?? '');
  const tokens = lists?.flatMap(({ conditions }) => conditions.flatMap(({ token }) => (token === null ? [] : [token])));
  const token = tokens?.[0];
  if (token === undefined) {
    refuse(exchange, faults.badIf);
    return;
  }
  const lock = files.locks.refresh(exchange.caller, path, token, timeoutOf(exchange));
  if (typeof lock === 'number') answerFileOutcome(exchange, lock === MISSING ? STALE : lock, files, path);
  else answerLock(exchange, host, lock, 200);
}

function answerLock(exchange: Exchange, host: DavHost, lock: Lock, status: number): void {
  const body =
    '<?xml version="1.0" encoding="utf-8"?>\n<D:prop xmlns:D="DAV:"><D:lockdiscovery>' +
    `${lockXml(lock, host.clock.wall)}</D:lockdiscovery></D:prop>\n`;
  const fields = Fields.of({ 'content-type': 'application/xml; charset=utf-8', 'lock-token': `<${lock.token}>` });
  answerBytes(exchange, status, fields, Buffer.from(body));
}

export function takeUnlock(exchange: Exchange, host: DavHost, path: string): void {
  const token = /^\s*<([^>]+)>\s*$/.exec(exchange.fields.get('lock-token') ?? '')?.[1];
  if (token === undefined) {
    refuse(exchange, faults.noToken);
    return;
  }
  const outcome = host.resources.files!.locks.release(exchange.caller, path, token);
  if (outcome === OK) answerNothing(exchange, 204);
  else if (outcome === MISSING) answerProblem(exchange, 409, 'There is no such lock on it.');
  else answerFileOutcome(exchange, outcome, host.resources.files!, path);
}
