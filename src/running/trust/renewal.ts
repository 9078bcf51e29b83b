// Certificates of another authority, obtained by ACME and renewed by themselves: when it is time, what to do when it fails,
// and where they are kept. A server shows the ones that it has until it has better ones.
import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Log } from '../../core/log.ts';
import type { Reach } from '../../core/reach.ts';
import type { Clock } from '../../core/time.ts';
import { jsonObject } from '../../protocols/acme/codec.ts';
import {
  AcmeError,
  type ObtainMeans,
  type ObtainPlan,
  obtain,
  type ShownProof,
} from '../../protocols/acme/obtaining.ts';
import { accountKey } from '../../protocols/acme/signing.ts';
import { renewalOf } from '../../security/authority.ts';
import { keyPem, makeRequest, newKey } from '../../security/certificate.ts';
import type { Certificates } from '../../security/certificates.ts';
import { isAddress } from '../../security/names.ts';
import type { Known } from '../../security/own-files.ts';
import { Asker } from '../asking.ts';
import type { DnsProofs, UpdatePlan } from '../names/dns-proofs.ts';

export interface RenewalPlan extends ObtainPlan {
  /** A file in PEM of whoever issued the ACME server's own certificate; the platform's when absent. */
  readonly authorities?: string | undefined;
  /** Where records in DNS are shown, if not in a zone of ours. */
  readonly update?: UpdatePlan | undefined;
}

export interface RenewalOptions {
  readonly plans: readonly RenewalPlan[];
  readonly certificates: Certificates;
  readonly reach: () => Reach;
  readonly turn: { readonly clock: Clock };
  readonly log: Log;
  /** After the first failure, and at most; for tests. */
  readonly retryMs?: readonly [first: number, most: number];
}

const RETRY_MS = [60_000, 12 * 3_600_000] as const;
/** The longest time between two looks at the clock. */
const LOOK_MS = 3_600_000;
const ANSWER_BYTES_MAX = 1_048_576;
const ANSWER_MS = 30_000;

export class Renewal {
  /** Proofs by HTTP that are shown now: authorizations by token. */
  readonly proofs = new Map<string, string>();
  private readonly options: RenewalOptions;
  private readonly timers = new Map<RenewalPlan, NodeJS.Timeout>();
  private asker: Asker | null = null;
  private dns: Pick<DnsProofs, 'show'> | null = null;
  private over = false;

  constructor(options: RenewalOptions) {
    this.options = options;
  }

  /** Shows what was obtained before, and begins to obtain what is due. Called once what proves names is listening. */
  begin(dns: Pick<DnsProofs, 'show'> | null): void {
    this.dns = dns;
    const { plans, certificates } = this.options;
    const kept = new Map<RenewalPlan, Known | null>(
      plans.map((plan) => [plan, certificates.obtainedBefore(keyOf(plan))]),
    );
    for (const [plan, known] of kept) this.wait(plan, known, 0);
  }

  close(): void {
    this.over = true;
    for (const timer of this.timers.values()) clearTimeout(timer);
    this.asker?.close();
  }

  private wait(plan: RenewalPlan, known: Known | null, failures: number, retryMs: number | null = null): void {
    if (this.over) return;
    const { wall } = this.options.turn.clock;
    const due = known === null ? 0 : renewalOf(known.facts.from, known.facts.to) - wall;
    const [first, most] = this.options.retryMs ?? RETRY_MS;
    const pause = failures === 0 ? due : Math.max(retryMs ?? 0, Math.min(most, first * 2 ** (failures - 1)));
    const step = () => {
      if (failures === 0 && pause > LOOK_MS) this.wait(plan, known, 0);
      else void this.renew(plan, known, failures);
    };
    const timer = setTimeout(step, Math.max(0, Math.min(pause, LOOK_MS)));
    timer.unref();
    this.timers.set(plan, timer);
  }

  private async renew(plan: RenewalPlan, known: Known | null, failures: number): Promise<void> {
    const { certificates, log } = this.options;
    const names = plan.names.join(' ');
    try {
      const key = newKey();
      const chain = await obtain(plan, this.meansOf(plan, key));
      const taken = certificates.obtain(keyOf(plan), chain, keyPem(key));
      if (typeof taken === 'string') throw new AcmeError(`what was issued is of no use: ${taken}`);
      log.info('obtained a certificate by ACME', { names, until: new Date(taken.facts.to).toISOString() });
      this.wait(plan, taken, 0);
    } catch (error) {
      if (this.over) return;
      const why = error instanceof Error ? error.message : String(error);
      const until = known === null ? null : new Date(known.facts.to).toISOString();
      log.error('a certificate could not be obtained by ACME; it is tried again', { names, why, until });
      this.wait(plan, known, failures + 1, error instanceof AcmeError ? error.retryMs : null);
    }
  }

  private meansOf(plan: RenewalPlan, key: ReturnType<typeof newKey>): ObtainMeans {
    const { reach, turn } = this.options;
    this.asker ??= new Asker(reach(), turn);
    const { asker } = this;
    const authorities = plan.authorities === undefined ? {} : { authorities: readFileSync(plan.authorities, 'utf8') };
    return {
      account: this.accountOf(plan),
      send: (url, method, body, type) =>
        asker.ask(url, {
          method,
          bytesMax: ANSWER_BYTES_MAX,
          withinMs: ANSWER_MS,
          ...authorities,
          ...(body === null ? {} : { body, fields: { 'content-type': type } }),
        }),
      isAddress,
      request: (names) => makeRequest(names, key),
      pause: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
      show: (kind, name, token, authorization) => this.show(plan, kind, name, token, authorization),
    };
  }

  private show(
    plan: RenewalPlan,
    kind: ShownProof,
    name: string,
    token: string,
    authorization: string,
  ): (() => void) | Promise<() => void> {
    const { certificates } = this.options;
    if (kind === 'dns-01') {
      if (this.dns === null) throw new AcmeError('this server has no DNS to prove names by');
      return this.dns.show(name, authorization, plan.update);
    }
    if (kind === 'tls-alpn-01') {
      certificates.challenge(name, authorization);
      return () => certificates.unchallenge(name);
    }
    this.proofs.set(token, authorization);
    return () => this.proofs.delete(token);
  }

  /** One account for each authority; its key is kept. */
  private accountOf({ directory }: RenewalPlan): ReturnType<typeof accountKey> {
    const { certificates } = this.options;
    for (const line of certificates.recall(ACCOUNTS)) {
      const kept = jsonObject(Buffer.from(line));
      if (kept?.directory !== directory) continue;
      return accountKey(createPrivateKey(String(kept.key)));
    }
    const made = accountKey();
    certificates.remember(ACCOUNTS, JSON.stringify({ directory, key: keyPem(made.key) }));
    return made;
  }
}

const ACCOUNTS = 'acme-client';

/** By what a certificate is kept: another name in the plan is another certificate. */
function keyOf({ names }: RenewalPlan): string {
  return names.join(' ');
}
