// Names as a service: what REST, GraphQL, gRPC, SOAP, WebSocket and MQTT calls have of zones, under the rules of each zone. Records are
// as master files write them.
import { z } from 'zod';
import { INVALID, OK, OUTCOME_NAMES, type Outcome } from '../../core/outcome.ts';
import { lowerName, nameText } from '../../formats/dns/name.ts';
import { defineService, type ServiceDefinition } from '../services/define.ts';
import type { HandlerCall } from '../services/handler.ts';
import { OUTCOME_CODES, ServiceError } from '../services/status.ts';

import type { Names, Zone } from './contract.ts';
import {
  type Edit,
  editOf,
  lineOf,
  listRecords,
  nameWithin,
  type Removal,
  recordsAt,
  type TextRecord,
} from './editing.ts';

const PAGE = 100;
const PAGE_MAX = 1_000;
const EDIT_MAX = 1_000;

/** What is known of a name, ours or another's. */
export interface Finding {
  readonly kind: 'data' | 'nothing' | 'missing' | 'failed';
  readonly values: readonly string[];
  readonly isSecure: boolean;
}

export const LOOKUP_TYPES = ['A', 'AAAA', 'CNAME', 'DS', 'MX', 'PTR', 'TLSA', 'TXT'] as const;

export interface NamesServiceParts {
  readonly names: Names;
  readonly find: (name: string, type: (typeof LOOKUP_TYPES)[number]) => Promise<Finding>;
}

const NameRecord = z
  .object({
    name: z
      .string()
      .min(1)
      .describe('Relative to the zone, `@` for the zone itself, or absolute with a dot at its end.'),
    ttl: z.uint32().max(2_147_483_647).default(3_600).describe('Seconds.'),
    type: z.string().min(1).describe('As `A`, or `TYPE65280`.'),
    data: z.string().min(1).describe('As master files have it: `10 mail`, `"v=spf1 -all"`.'),
  })
  .describe('A record.');

const NameZone = z.object({
  name: z.string().describe('Without the dot at its end; nothing for the root.'),
  kind: z.string().describe('`file`, `own`, `kept` or `secondary`.'),
  serial: z.uint32(),
  records: z.uint32(),
  signed: z.boolean(),
});

const NameRemoval = z.object({
  name: z.string().min(1),
  type: z.string().optional().describe('All of the name’s records when absent.'),
  data: z.string().optional().describe('All of the type when absent.'),
});

const ZoneRef = z.object({ zone: z.string() });
const NameChange = z.object({ zone: z.string(), serial: z.uint32() });

const DETAILS: Readonly<Partial<Record<Outcome, string>>> = {
  1: 'a rule forbids it',
  7: 'a quota or the disk is full',
  8: 'the server has too much to do: try again',
  11: 'the zone comes from its primary, and is changed there',
};

function failed(outcome: Outcome): ServiceError {
  const code = OUTCOME_CODES[outcome];
  return new ServiceError(
    code === 'OK' ? 'INTERNAL' : code,
    DETAILS[outcome] ?? `the names answered ${OUTCOME_NAMES[outcome]}`,
  );
}

const shownZone = ({ name, kind, serial, isSigned, contents }: Zone) => {
  return { name, kind, serial, records: contents.records, signed: isSigned };
};

/** The zone, for whoever may: nobody else is told that it is there. */
function zoneOf(names: Names, { caller }: HandlerCall, name: string, verb: 'list' | 'write'): Zone {
  const zone = names.zoneNamed(name.endsWith('.') ? name : `${name}.`);
  if (zone !== null && names.may(caller, verb, zone, '', '')) return zone;
  if (zone !== null && names.may(caller, 'list', zone, '', ''))
    throw new ServiceError('PERMISSION_DENIED', `${name} may not be changed`);
  throw new ServiceError('NOT_FOUND', `there is no zone ${name} here that may be read`);
}

function nameIn(zone: Zone, text: string): Uint8Array {
  const name = nameWithin(zone, text);
  if (name !== null) return name;
  throw new ServiceError('INVALID_ARGUMENT', `${text} is not in the zone ${zone.name}`);
}

/** `portico.v1.Names` over these names. */
export function namesService(parts: NamesServiceParts): ServiceDefinition {
  return defineService({
    name: 'portico.v1.Names',
    description: 'The zones that DNS answers from.',
    types: { NameRecord, NameZone, NameRemoval, NameChange },
    methods: { ...reading(parts), ...changing(parts), Watch: watching(parts) },
  }) as unknown as ServiceDefinition;
}

function reading({ names, find }: NamesServiceParts) {
  return {
    ListZones: {
      description: 'The zones that the caller may read.',
      idempotency: 'safe' as const,
      input: z.object({ after: z.string().default(''), most: z.uint32().min(1).max(PAGE_MAX).optional() }),
      output: z.object({ zones: z.array(NameZone) }),
      handler: ({ after, most = PAGE }: { after: string; most?: number | undefined }, { caller }: HandlerCall) => {
        const mine = [...names.zones()].filter((zone) => names.may(caller, 'list', zone, '', ''));
        const behind = mine.map(shownZone).filter(({ name }) => after === '' || name > after);
        return { zones: behind.sort((a, b) => (a.name < b.name ? -1 : 1)).slice(0, most) };
      },
    },
    ListRecords: {
      description: 'The records of a zone, whole names at a time, or those of one name.',
      idempotency: 'safe' as const,
      input: ZoneRef.extend({
        name: z.string().optional(),
        after: z.string().optional().describe('Goes on behind this name.'),
        most: z.uint32().min(1).max(PAGE_MAX).optional(),
      }),
      output: z.object({
        zone: NameZone,
        records: z.array(NameRecord),
        next: z.string().describe('Go on behind this name; nothing at the end.'),
      }),
      handler: (
        asked: {
          zone: string;
          name?: string | undefined;
          after?: string | undefined;
          most?: number | undefined;
        },
        call: HandlerCall,
      ) => {
        const zone = zoneOf(names, call, asked.zone, 'list');
        const { contents } = zone;
        if (asked.name !== undefined) {
          const node = contents.find(nameIn(zone, asked.name), 0);
          return { zone: shownZone(zone), records: node === 0 ? [] : recordsAt(contents, node), next: '' };
        }
        const after = asked.after === undefined || asked.after === '' ? null : nameIn(zone, asked.after);
        const { records, next } = listRecords(contents, after, asked.most ?? PAGE);
        return { zone: shownZone(zone), records: [...records], next };
      },
    },
    Lookup: {
      description:
        'What is known of a name: from the zones of this server, else from its resolver. For those who have an account, and programs of this machine.',
      idempotency: 'safe' as const,
      input: z.object({ name: z.string().min(1), type: z.enum(LOOKUP_TYPES).default('A') }),
      output: z.object({
        found: z.boolean().describe('There is such a name.'),
        values: z.array(z.string()),
        secure: z.boolean().describe('It is proved by DNSSEC.'),
      }),
      handler: async (
        asked: { name: string; type: (typeof LOOKUP_TYPES)[number] },
        { caller: { account, origin } }: HandlerCall,
      ) => {
        if (account === '' && origin !== 'local') throw new ServiceError('UNAUTHENTICATED', 'sign in first');
        const { kind, values, isSecure } = await find(asked.name, asked.type);
        if (kind === 'failed') throw new ServiceError('UNAVAILABLE', `nobody could be asked for ${asked.name}`);
        return { found: kind !== 'missing', values: [...values], secure: isSecure };
      },
    },
  };
}

function changing({ names }: NamesServiceParts) {
  /** Answers the serial once it is durable. */
  const edit = (zone: Zone, make: (zone: Zone) => Edit): Promise<{ serial: number }> =>
    new Promise((resolve, reject) => {
      let wrong: string | null = null;
      const settled = (_token: number, outcome: Outcome, serial: number) => {
        if (wrong !== null) reject(new ServiceError('INVALID_ARGUMENT', wrong));
        else if (outcome === OK) resolve({ serial });
        else reject(failed(outcome));
      };
      const changing = (contents: Zone['contents']) => {
        const made = editOf(zone, contents, make(zone));
        if (typeof made !== 'string') return made;
        wrong = made;
        return INVALID;
      };
      names.change(zone, changing, { settled }, 0);
    });
  const output = z.object({ serial: z.uint32() });
  return {
    AddRecords: {
      description: 'Adds records; those that are there already stay. Answers once that is durable.',
      idempotency: 'idempotent' as const,
      input: ZoneRef.extend({ records: z.array(NameRecord).min(1).max(EDIT_MAX) }),
      output,
      handler: ({ zone, records }: { zone: string; records: TextRecord[] }, call: HandlerCall) => {
        const add = linesOf(records);
        return edit(zoneOf(names, call, zone, 'write'), () => ({ remove: [], add }));
      },
    },
    PutRecords: {
      description: 'The sets of these names and types become exactly these records, all at once.',
      idempotency: 'idempotent' as const,
      input: ZoneRef.extend({ records: z.array(NameRecord).min(1).max(EDIT_MAX) }),
      output,
      handler: ({ zone, records }: { zone: string; records: TextRecord[] }, call: HandlerCall) => {
        const found = zoneOf(names, call, zone, 'write');
        const sets = records.map(({ name, type }) => ({ name: nameIn(found, name), type: type.toUpperCase() }));
        const add = linesOf(records);
        return edit(found, () => ({ remove: setsOf(found, sets), add }));
      },
    },
    RemoveRecords: {
      description: 'Removes records, sets or names, all at once; one that is not there is an error.',
      input: ZoneRef.extend({ records: z.array(NameRemoval).min(1).max(EDIT_MAX) }),
      output,
      handler: ({ zone, records }: { zone: string; records: Removal[] }, call: HandlerCall) =>
        edit(zoneOf(names, call, zone, 'write'), () => ({ remove: records, add: '' })),
    },
  };
}

/** Lines of a master file. A line within a record would be one of its own. */
function linesOf(records: readonly TextRecord[]): string {
  for (const record of records)
    for (const text of [record.name, record.type, record.data])
      if (/[\r\n$;()]/.test(text.replace(/"(?:[^"\\\r\n]|\\.)*"/g, '')))
        throw new ServiceError('INVALID_ARGUMENT', `a record is one line: ${JSON.stringify(text)}`);
  return records.map(lineOf).join('\n');
}

/** Those of these sets that are there. */
function setsOf({ contents }: Zone, sets: readonly { readonly name: Uint8Array; readonly type: string }[]): Removal[] {
  const found = new Map<string, Removal>();
  for (const { name, type } of sets) {
    const node = contents.find(name, 0);
    const text = nameText(lowerName(name));
    if (node !== 0 && recordsAt(contents, node).some((record) => record.type === type))
      found.set(`${text} ${type}`, { name: text, type });
  }
  return [...found.values()];
}

function watching({ names }: NamesServiceParts) {
  return {
    description: 'Each change of the zones that the caller may read; of several changes of one, the last.',
    kind: 'server' as const,
    idempotency: 'safe' as const,
    input: z.object({ zone: z.string().optional().describe('All that may be read when absent.') }),
    output: NameChange,
    handler: async function* (asked: { zone?: string | undefined }, call: HandlerCall) {
      const only = asked.zone === undefined ? null : zoneOf(names, call, asked.zone, 'list');
      const { caller, signal } = call;
      // At most one a zone: whoever is slow misses states in between, and none of those that last.
      const news = new Map<Zone, number>();
      let wake = (): void => {};
      const stop = names.onChange((zone) => {
        if (only !== null && zone !== only) return;
        news.set(zone, zone.serial);
        wake();
      });
      signal.addEventListener('abort', () => wake(), { once: true });
      try {
        while (!signal.aborted) {
          const came = new Promise<void>((resolve) => {
            wake = resolve;
          });
          for (const [zone, serial] of news) {
            news.delete(zone);
            if (names.may(caller, 'list', zone, '', '')) yield { zone: zone.name, serial };
          }
          if (news.size === 0 && !signal.aborted) await came;
        }
      } finally {
        stop();
      }
    },
  };
}
