// All that a running server has of certificates: its own authority's and others', what it issues by ACME, what it obtains by
// ACME, and the routes on which they are checked and proven.
import type { Config } from '../../config.ts';
import type { Log } from '../../core/log.ts';
import type { Reach } from '../../core/reach.ts';
import type { Turn } from '../../core/turn.ts';
import type { Route } from '../../protocols/http/router.ts';
import type { Certificates } from '../../security/certificates.ts';
import type { AddressPolicy } from '../../transports/addresses.ts';
import type { DnsProofs } from '../names/dns-proofs.ts';
import { certificateRoutes, Issuing, proofPolicy } from './issuing.ts';
import { Renewal } from './renewal.ts';
import { openCertificates } from './secured.ts';

/** Connections on which proofs of names are looked for at once. */
const PROOFS_MAX = 64;

export interface CertifiedOptions {
  readonly config: Config;
  readonly log: Log;
  readonly turn: Pick<Turn, 'clock' | 'bug'>;
  /** A way out, made when it is first needed: the server is not there yet. */
  readonly wayOut: (openMax?: number, policy?: AddressPolicy) => Reach;
}

export class Certified {
  readonly certificates: Certificates;
  /** What protocols are given. */
  readonly issuing: Issuing;
  readonly routes: readonly Route[];
  private readonly renewal: Renewal;

  /** Throws an Error when what is kept cannot be read. */
  constructor({ config, log, turn, wayOut }: CertifiedOptions) {
    const { proofPorts: ports, acme: plans } = config.certificates;
    const certificates = openCertificates(config, log);
    const policy = proofPolicy(certificates, config.outbound.allow);
    this.certificates = certificates;
    this.issuing = new Issuing(certificates, { turn, policy, ports, reach: () => wayOut(PROOFS_MAX, policy) });
    this.renewal = new Renewal({ plans, certificates, turn, log, reach: () => wayOut() });
    this.routes = certificateRoutes(certificates, this.renewal.proofs);
  }

  /** Once the server listens: begins to obtain what is due. */
  begin(dns: DnsProofs | null): void {
    this.renewal.begin(dns);
  }

  close(): void {
    this.renewal.close();
    this.issuing.close();
    this.certificates.close();
  }
}

/** Names that certificates are asked for: the server goes by them. */
export function certifiedNames({ certificates: { names, acme } }: Config): string[] {
  return [...names, ...acme.flatMap((each) => each.names)];
}
