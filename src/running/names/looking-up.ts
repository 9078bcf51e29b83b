// What the server's mail asks of DNS: of the server's own resolver where there is one, else of the machine's.
import { Resolver as SystemResolver } from 'node:dns/promises';
import { latin1 } from '../../bytes/reader.ts';
import type { Turn } from '../../core/turn.ts';
import { nameFrom } from '../../formats/dns/name.ts';
import { rdataText, TYPE } from '../../formats/dns/records.ts';
import { SECURE } from '../../protocols/dns/cache.ts';
import type { Question } from '../../protocols/dns/resolver.ts';
import { RCODE } from '../../protocols/dns/wire.ts';

export type LookupType = 'A' | 'AAAA' | 'CNAME' | 'DS' | 'MX' | 'PTR' | 'TLSA' | 'TXT';

export interface Found {
  /** `nothing`: the name is there, with no such record; `failed`: it is not known now. */
  readonly kind: 'data' | 'nothing' | 'missing' | 'failed';
  /**
   * Of each record: an address; a name without its last dot; `10 mail.example.org`; the whole text, one character an octet;
   * `3 1 1 0a1b…`.
   */
  readonly values: readonly string[];
  /** It is proved by DNSSEC, also that there is none. */
  readonly isSecure: boolean;
}

export interface Lookup {
  /** Never rejects. */
  find(name: string, type: LookupType): Promise<Found>;
}

const FAILED_FINDING: Found = { kind: 'failed', values: [], isSecure: false };

/** By the resolver of this server. */
export class OwnLookup implements Lookup {
  private readonly ask: (question: Question) => void;

  constructor(resolver: { ask(question: Question, clock: Turn['clock']): void }, turn: Turn, touched: () => void) {
    this.ask = (question) => {
      resolver.ask(question, turn.clock);
      touched();
    };
  }

  find(name: string, type: LookupType): Promise<Found> {
    const wire = nameFrom(`${name.replace(/\.$/, '')}.`);
    if (wire === null) return Promise.resolve({ ...FAILED_FINDING, kind: 'missing' });
    return new Promise((resolve) => {
      const done: Question['done'] = ({ rcode, steps, security }) => {
        const last = steps.at(-1);
        const isSecure = security === SECURE;
        if (rcode === RCODE.NXDOMAIN) resolve({ kind: 'missing', values: [], isSecure });
        else if (rcode !== RCODE.NOERROR || last === undefined || last.kind === 'failed') resolve(FAILED_FINDING);
        else if (last.kind !== 'data' || last.set === null) resolve({ kind: 'nothing', values: [], isSecure });
        else resolve({ kind: 'data', values: last.set.data.map((data) => textOf(type, data)), isSecure });
      };
      this.ask({ name: Buffer.from(wire), type: TYPE[type], checkingDisabled: false, client: 'mail', done });
    });
  }
}

/** Record data as `Found` has it. */
export function textOf(type: LookupType, data: Buffer): string {
  if (type !== 'TXT') return rdataText(TYPE[type], data, 0, data.length).replace(/\.$/, '');
  let text = '';
  for (let at = 0; at < data.length; at += data[at]! + 1) text += latin1(data, at + 1, at + 1 + data[at]!);
  return text;
}

const MISSING_CODES = new Set(['ENOTFOUND', 'NXDOMAIN']);

/** By the resolver of this machine, which proves nothing. */
export class SystemLookup implements Lookup {
  private readonly resolver = new SystemResolver({ timeout: 5_000, tries: 2 });

  async find(name: string, type: LookupType): Promise<Found> {
    if (type === 'DS') return FAILED_FINDING;
    if (type === 'TLSA') return { kind: 'nothing', values: [], isSecure: false };
    try {
      const values = await this.ask(name, type);
      return { kind: values.length > 0 ? 'data' : 'nothing', values, isSecure: false };
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException;
      if (MISSING_CODES.has(code)) return { kind: 'missing', values: [], isSecure: false };
      return code === 'ENODATA' ? { kind: 'nothing', values: [], isSecure: false } : FAILED_FINDING;
    }
  }

  private async ask(name: string, type: Exclude<LookupType, 'TLSA' | 'DS'>): Promise<string[]> {
    const { resolver } = this;
    if (type === 'MX')
      return (await resolver.resolveMx(name)).map(({ priority, exchange }) => `${priority} ${exchange}`);
    if (type === 'TXT')
      return (await resolver.resolveTxt(name)).map((parts) => Buffer.from(parts.join('')).toString('latin1'));
    return (await resolver.resolve(name, type)) as string[];
  }
}
