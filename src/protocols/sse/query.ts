// What a request for events asks for, out of its target and fields.

import type { Fault } from '../../core/fault.ts';
import type { Fields } from '../../core/fields.ts';
import type { SlowPolicy } from '../../resources/topics/contract.ts';
import { isTopicFilter } from '../../resources/topics/names.ts';
import { Query, wholeNumber } from '../http/query.ts';
import { decodePath, splitTarget } from '../http/target.ts';
import type { Mode } from './encode.ts';
import { faults } from './faults.ts';

const POLICIES: readonly string[] = ['disconnect', 'drop-oldest', 'keep-latest'] satisfies SlowPolicy[];

export interface Asked {
  readonly filters: readonly string[];
  /** Null for what comes from now on. */
  readonly after: number | null;
  /** Whether retained values come first, and whether their events have a name. */
  readonly retained: 'yes' | 'no' | 'event';
  readonly mode: Mode;
  readonly policy: SlowPolicy;
}

/** What is wrong with a request. */
export interface Wrong {
  readonly fault: Fault;
  readonly detail: string;
}

const wrong = (fault: Fault, detail = fault.text): Wrong => ({ fault, detail });

/** @param prefix the path below which the filter stands; the path without its slash has none */
export function readAsked(target: string, fields: Fields, prefix: string, filtersMax: number): Asked | Wrong {
  const { path, query: text } = splitTarget(target);
  const query = Query.of(text);
  const below = path.startsWith(prefix) ? decodePath(path.slice(prefix.length)) : undefined;
  if (query === null || below === null) return wrong(faults.badEscape);
  if (below === '') return wrong(faults.noFilter);
  const filters = [...new Set([...(below === undefined ? [] : [below]), ...query.all('filter')])];
  if (filters.length === 0) filters.push('#');
  const bad = filters.find((filter) => !isTopicFilter(filter));
  if (bad !== undefined) return wrong(faults.badFilter, `${JSON.stringify(bad)}: ${faults.badFilter.text}`);
  if (filters.length > filtersMax) return wrong(faults.filtersTooMany);
  // What a client says when it comes back is newer than what stands in its URL since it first came.
  const position = fields.get('last-event-id') ?? query.get('lastEventId') ?? query.get('after');
  const after = position === null || position === '' ? null : wholeNumber(position);
  if (Number.isNaN(after)) return wrong(faults.badParameter, 'after and Last-Event-ID are ids that the server gave.');
  const retained = query.get('retained') ?? 'yes';
  if (retained !== 'yes' && retained !== 'no' && retained !== 'event')
    return wrong(faults.badParameter, 'retained is yes, no or event.');
  const envelope = query.get('envelope');
  if (envelope !== null && envelope !== 'json') return wrong(faults.badParameter, 'envelope is json, or is not there.');
  const encoding = query.get('encoding') ?? 'text';
  if (encoding !== 'text' && encoding !== 'base64') return wrong(faults.badParameter, 'encoding is text or base64.');
  const policy = query.get('slow') ?? 'disconnect';
  if (!POLICIES.includes(policy)) return wrong(faults.badParameter, `slow is ${POLICIES.join(', ')}.`);
  const json = encoding === 'base64' ? 'json64' : 'json';
  return { filters, after, retained, mode: envelope === null ? encoding : json, policy: policy as SlowPolicy };
}
