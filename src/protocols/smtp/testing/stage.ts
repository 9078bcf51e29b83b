// SMTP in a simulated world, with mail that is only written down: for tests.
import { bindLimits } from '../../../core/limits.ts';
import { SILENT } from '../../../core/log.ts';
import { FULL, MISSING, OK, type Outcome, UNKNOWN, type Waiter } from '../../../core/outcome.ts';
import { Recorder } from '../../../core/pipe-suite.ts';
import { NO_EVENTS } from '../../../core/stream-pipe.ts';
import type { TlsPolicy } from '../../../core/tls.ts';
import type { Accounts } from '../../../resources/accounts/contract.ts';
import { OPEN_ACCOUNTS } from '../../../resources/accounts/open-accounts.ts';
import type { Envelope, IncomingMail, Mail, Route } from '../../../resources/mail/contract.ts';
import { linkPipes } from '../../../sim/pipes.ts';
import { World } from '../../../sim/world.ts';
import { limits } from '../limits.ts';
import { type SmtpHost, serveSmtp } from '../server.ts';

export interface StageOptions {
  readonly limits?: Readonly<Record<string, number>>;
  readonly accounts?: Accounts;
  readonly cut?: number;
  readonly tls?: boolean;
  readonly submits?: boolean;
  readonly seed?: number;
}

const SERVER_TLS: TlsPolicy = { role: 'server' };
export const CLIENT_TLS: TlsPolicy = { role: 'client' };

interface Delivery {
  readonly from: string;
  readonly to: readonly string[];
  readonly text: string;
}

/** Takes mail for `a…@here`, and keeps what was committed. */
export class FakeMail {
  readonly domains = ['here'];
  readonly catching = false;
  readonly messageBytesMax = 1_000_000;
  /** Something but null: mail leaves, and reports are made. */
  queue: object | null = null;
  readonly envelopes: Envelope[] = [];
  readonly deliveries: Delivery[] = [];
  /** Messages that were begun and neither committed nor aborted. */
  pending = 0;
  /** How a message ends. */
  outcome: Outcome = OK;
  /** Bytes that a message takes before it has to wait. */
  roomy = Number.POSITIVE_INFINITY;
  private readonly later: (step: () => void) => void;

  constructor(later: (step: () => void) => void) {
    this.later = later;
  }

  isNew(_ip: string, recipient: string): boolean {
    return recipient.startsWith('anew');
  }

  route(address: string): Route {
    if (/^a.*@here$/.test(address)) return { kind: 'here', mailboxes: [address], topics: [], onward: [], detail: '' };
    const outcome = address.endsWith('@here') ? (address.startsWith('full') ? FULL : MISSING) : UNKNOWN;
    return { kind: 'refused', outcome };
  }

  incoming(envelope: Envelope): IncomingMail {
    const { from, recipients, trace } = envelope;
    this.envelopes.push(envelope);
    const chunks: Buffer[] = [Buffer.from(trace)];
    let taken = 0;
    this.pending++;
    const incoming: IncomingMail = {
      get size() {
        return chunks.slice(1).reduce((sum, { length }) => sum + length, 0);
      },
      get head() {
        const all = Buffer.concat(chunks);
        return all.subarray(0, all.indexOf('\r\n\r\n') + 4);
      },
      onRoom: null,
      write: (input, start, end) => {
        const size = Math.min(end - start, this.roomy - taken);
        chunks.push(Buffer.from(input.subarray(start, start + size)));
        taken += size;
        if (size < end - start)
          this.later(() => {
            taken = 0;
            incoming.onRoom?.();
          });
        return size;
      },
      commit: (waiter: Waiter, token) => {
        this.later(() => {
          this.pending--;
          if (this.outcome === OK) {
            const text = Buffer.concat(chunks).toString('latin1');
            this.deliveries.push({ from, to: recipients.map(({ address }) => address), text });
          }
          waiter.settled(token, this.outcome, 0);
        });
      },
      abort: () => void this.pending--,
    };
    return incoming;
  }
}

export class Stage {
  readonly world: World;
  readonly mail: FakeMail;
  readonly host: SmtpHost;
  readonly faulted: string[] = [];
  private readonly options: StageOptions;

  constructor(options: StageOptions = {}) {
    this.options = options;
    const world = new World(options.seed ?? 1);
    this.world = world;
    this.mail = new FakeMail((step) => void world.after(1, step));
    this.host = {
      resources: {
        accounts: options.accounts ?? OPEN_ACCOUNTS,
        topics: null as never,
        mail: this.mail as unknown as Mail,
      },
      limits: bindLimits(limits, options.limits),
      get clock() {
        return world.turn.clock;
      },
      entropy: world.random,
      reach: null as never,
      log: SILENT,
      software: 'Portico/test',
      routes: () => {},
      startTls: options.tls === true ? SERVER_TLS : null,
    };
  }

  connect(): Talk {
    let peer!: Recorder;
    linkPipes(
      this.world,
      (pipe) => (peer = new Recorder(pipe)),
      (pipe) => serveSmtp(pipe, this.host, this.options.submits === true),
      {
        cut: this.options.cut ?? 0,
        events: { ...NO_EVENTS, faulted: (_pipe, fault) => void this.faulted.push(fault.id) },
      },
    );
    return new Talk(this, peer);
  }

  /** The last message without what was put before it. */
  get last(): string {
    const text = this.mail.deliveries.at(-1)?.text ?? '';
    return text.slice(text.indexOf('+0000\r\n') + 7);
  }
}

export class Talk {
  readonly peer: Recorder;
  private readonly stage: Stage;
  private heard = 0;

  constructor(stage: Stage, peer: Recorder) {
    this.stage = stage;
    this.peer = peer;
  }

  says(text: string | Uint8Array): void {
    const bytes = typeof text === 'string' ? Buffer.from(text) : text;
    this.peer.pipe.out.copy(bytes, 0, bytes.length);
    this.peer.pipe.flush();
  }

  /** What came since the last call, after time has passed. */
  hears(ms = 100): string {
    this.stage.world.pass(ms);
    const text = this.peer.received.toString('utf8');
    const fresh = text.slice(this.heard);
    this.heard = text.length;
    return fresh;
  }

  /** The codes of what came, `250` for the last line of a reply. */
  codes(ms = 100): string {
    return [...this.hears(ms).matchAll(/^(\d{3}) /gm)].map(([, code]) => code).join(' ');
  }
}
