// Every bound of the resolver: what one question may cost, how much is kept, how long is waited.
import type { Bound, Limits } from '../../core/limits.ts';

const count = (what: string, value: number, least: number, most: number, spec: string) =>
  ({ what, default: value, least, most, unit: 'count', fault: null, spec }) as const;
const ms = (what: string, value: number, least: number, most: number, spec: string) =>
  ({ what, default: value, least, most, unit: 'ms', fault: null, spec }) as const;
const bytes = (what: string, value: number, least: number, most: number) =>
  ({ what, default: value, least, most, unit: 'bytes', fault: null, spec: '' }) as const;

export const resolverLimits = {
  cacheBytes: bytes('what the cache holds', 67_108_864, 65_536, 17_179_869_184),
  denials: count('NSEC and NSEC3 records kept to answer from', 50_000, 0, 10_000_000, 'RFC 8198 §5'),
  delegations: count('delegations kept', 20_000, 100, 10_000_000, 'RFC 1034 §5.3.3'),
  servers: count('servers of which times and habits are kept', 10_000, 100, 1_000_000, 'RFC 1035 §7.2'),
  questions: count('questions that are worked on at once', 4_096, 16, 1_000_000, 'RFC 5452 §5'),
  questionsPerClient: count('questions of one client that are worked on at once', 256, 1, 100_000, ''),
  asksPerServer: count('queries that wait for one server', 256, 1, 10_000, ''),
  queriesPerQuestion: count('queries that one question may send', 100, 10, 10_000, 'RFC 1035 §7.1'),
  addressesPerReferral: count('names of servers looked up for one delegation', 4, 1, 64, 'CVE-2020-8616'),
  addressesPerQuestion: count('names of servers looked up for one question', 12, 1, 256, 'CVE-2020-8616'),
  depth: count('questions within questions', 8, 2, 32, 'RFC 1034 §5.3.3'),
  aliases: count('aliases followed', 12, 1, 64, 'RFC 1034 §3.6.2'),
  signaturesPerQuestion: count('signatures checked for one question', 120, 16, 10_000, 'CVE-2023-50387'),
  failuresPerSet: count('signatures over one set that may fail', 4, 1, 64, 'CVE-2023-50387'),
  hashesPerQuestion: count('names hashed for one question', 400, 32, 100_000, 'CVE-2023-50868'),
  questionMs: ms('how long a question is worked on', 12_000, 1_000, 120_000, 'RFC 8767 §5'),
  staleAfterMs: ms('after which a stale answer is given', 1_800, 0, 60_000, 'RFC 8767 §5'),
  staleMs: ms('how long what is stale is kept', 86_400_000, 0, 604_800_000, 'RFC 8767 §5'),
  failureMs: ms('how long a failure is remembered', 5_000, 1_000, 300_000, 'RFC 9520 §3.2'),
  askMsMost: ms('how long one query may take', 3_000, 200, 30_000, 'RFC 1035 §7.1'),
  streamMs: ms('how long a query over a stream may take', 5_000, 200, 60_000, 'RFC 7766 §6.2.3'),
} as const satisfies Limits;

export type ResolverBound = Bound<typeof resolverLimits>;
