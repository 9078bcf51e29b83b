// DMARC (RFC 7489; with the tree walk of its successor, so that no list of public suffixes is needed): whether what was proved is about
// the domain that a reader sees, and what that domain asks for where it is not.
import type { DkimResult } from './dkim.ts';
import type { DnsFind } from './lookup.ts';
import type { SpfResult } from './spf.ts';
import { readTags } from './tags.ts';

export type DmarcPolicy = 'none' | 'quarantine' | 'reject';

export interface DmarcResult {
  readonly result: 'pass' | 'fail' | 'none' | 'temperror' | 'permerror';
  /** What its domain asks to be done with a mail that fails. */
  readonly policy: DmarcPolicy;
  /** The domain that a reader sees. */
  readonly domain: string;
  /** Whose record it is. */
  readonly found: string;
  readonly why: string;
}

interface Record {
  readonly domain: string;
  readonly tags: ReadonlyMap<string, string>;
}

interface Walk {
  /** From the domain itself upwards, those that were found. */
  readonly records: readonly Record[];
  readonly isKnown: boolean;
}

/** A longer name is walked from so many labels on. */
const LABELS_MAX = 8;

/** @param from domains of the From field */
export async function checkDmarc(
  from: readonly string[],
  spf: Pick<SpfResult, 'result' | 'domain'>,
  dkim: readonly Pick<DkimResult, 'result' | 'domain'>[],
  find: DnsFind,
): Promise<DmarcResult> {
  const domains = [...new Set(from.map((domain) => domain.toLowerCase().replace(/\.$/, '')))];
  const none = { policy: 'none', found: '', domain: domains[0] ?? '' } as const;
  // Nobody can say whose it is.
  if (domains.length === 0) return { ...none, result: 'permerror', why: 'there is no sender' };
  if (domains.length > 4) return { ...none, result: 'permerror', why: 'there are too many senders' };
  const results = await Promise.all(domains.map((domain) => checkOne(domain, spf, dkim, find)));
  // Of several senders, the one that asks for most.
  return results.sort((one, other) => weightOf(other) - weightOf(one))[0]!;
}

function weightOf({ result, policy }: DmarcResult): number {
  if (result === 'fail') return 10 + ['none', 'quarantine', 'reject'].indexOf(policy);
  return ['none', 'permerror', 'pass', 'temperror'].indexOf(result);
}

async function checkOne(
  domain: string,
  spf: Pick<SpfResult, 'result' | 'domain'>,
  dkim: readonly Pick<DkimResult, 'result' | 'domain'>[],
  find: DnsFind,
): Promise<DmarcResult> {
  const walk = await walkUp(domain, find);
  const about = { domain, found: '', policy: 'none' } as const;
  if (!walk.isKnown) return { ...about, result: 'temperror', why: 'DNS does not answer' };
  const home = homeOf(walk);
  const record =
    walk.records.find((each) => each.domain === domain) ?? walk.records.find((each) => each.domain === home);
  if (record === undefined) return { ...about, result: 'none', why: 'the domain asks for nothing' };
  const { tags } = record;
  const isStrict = (name: string) => tags.get(name)?.toLowerCase() === 's';
  const passed = [
    ...dkim
      .filter(({ result }) => result === 'pass')
      .map((each) => ({ domain: each.domain, strict: isStrict('adkim') })),
    ...(spf.result === 'pass' ? [{ domain: spf.domain, strict: isStrict('aspf') }] : []),
  ];
  const found = { domain, found: record.domain };
  for (const each of passed)
    if (await isAligned(each.domain.toLowerCase(), domain, home, each.strict, find))
      return { ...found, result: 'pass', policy: 'none', why: `${each.domain} is proved` };
  // Only what could still prove it is waited for: a stranger's DNS that does not answer is no excuse.
  const isKin = (other: string) => other === domain || other === home || other.toLowerCase().endsWith(`.${home}`);
  const isUnknown = [spf, ...dkim].some((each) => each.result === 'temperror' && isKin(each.domain));
  if (isUnknown) return { ...found, result: 'temperror', policy: 'none', why: 'DNS does not answer' };
  const policy = await policyOf(record, domain, find);
  return { ...found, result: 'fail', policy, why: 'nothing is proved of the domain' };
}

async function policyOf({ domain: at, tags }: Record, domain: string, find: DnsFind): Promise<DmarcPolicy> {
  const read = (name: string): DmarcPolicy | null => {
    const value = tags.get(name)?.toLowerCase();
    return value === 'none' || value === 'quarantine' || value === 'reject' ? value : null;
  };
  let policy = read('p') ?? 'none';
  if (at !== domain) {
    const isMissing = tags.has('np') && (await find(domain, 'A')).kind === 'missing';
    policy = (isMissing ? read('np') : null) ?? read('sp') ?? policy;
  }
  // Its domain tries it out: one step less.
  if (tags.get('t')?.toLowerCase() !== 'y') return policy;
  return policy === 'reject' ? 'quarantine' : 'none';
}

async function isAligned(
  proved: string,
  domain: string,
  home: string,
  strict: boolean,
  find: DnsFind,
): Promise<boolean> {
  if (proved === domain) return true;
  if (strict || proved === '') return false;
  // Most are one below the other, and no walk is needed to know the home of either.
  if (!proved.endsWith(`.${home}`) && proved !== home) return false;
  return homeOf(await walkUp(proved, find)) === home;
}

/** The records at and above a name. */
async function walkUp(domain: string, find: DnsFind): Promise<Walk> {
  const labels = domain.split('.');
  const names = [domain];
  const from = labels.length > LABELS_MAX ? labels.length - LABELS_MAX + 1 : 1;
  for (let at = from; at < labels.length; at++) names.push(labels.slice(at).join('.'));
  const records: Record[] = [];
  for (const name of names) {
    const { kind, values } = await find(`_dmarc.${name}`, 'TXT');
    // What stands above a record could only make more of the same house.
    if (kind === 'failed') return { records, isKnown: records.length > 0 };
    const those = values.flatMap((value) => {
      const tags = /^v\s*=\s*DMARC1\s*(?:;|$)/.test(value) ? readTags(value) : null;
      return tags === null ? [] : [tags];
    });
    // Several are as good as none (RFC 7489 §6.6.3).
    if (those.length !== 1) continue;
    records.push({ domain: name, tags: those[0]! });
    // It says itself that it stands highest.
    if (those[0]!.get('psd')?.toLowerCase() === 'n') break;
  }
  return { records, isKnown: true };
}

/** The domain that a name belongs to: the highest with a record, or one below a registry that says it is one. */
function homeOf({ records }: Walk): string {
  const own = records.find(({ tags }) => tags.get('psd')?.toLowerCase() === 'n');
  if (own !== undefined) return own.domain;
  const highest = records.at(-1);
  if (highest === undefined) return '';
  if (highest.tags.get('psd')?.toLowerCase() !== 'y') return highest.domain;
  const below = records.at(-2);
  return below?.domain ?? highest.domain;
}
