// `/metrics` for Prometheus: what the server counts, read when it is asked for. Nothing is collected before the first time.
import type { Registry as Metrics } from 'prom-client';
import type { Caller } from '../core/caller.ts';
import type { Exchange, ExchangeHandler } from '../core/exchange.ts';
import { Fields } from '../core/fields.ts';
import { answerBytes, answerProblem } from '../protocols/http/answers.ts';
import type { QueueFigures } from '../resources/mail/queue-contract.ts';
import type { OpenServices } from '../resources/services/registry.ts';
import type { TopicFigures } from '../resources/topics/contract.ts';
import type { CertificateFigure } from '../security/certificates.ts';
import type { HandshakeFigures } from '../server/hello.ts';
import type { Registry } from '../server/registry.ts';

export interface MetricsSource {
  readonly version: string;
  readonly registry: Registry;
  readonly topics: () => Readonly<TopicFigures>;
  readonly handshakes: () => Readonly<HandshakeFigures>;
  readonly certificates: () => readonly CertificateFigure[];
  /** Calls of services that run, and how many ended how. */
  readonly calls?: Pick<OpenServices, 'figures' | 'ends'>;
  /** Mail that leaves; absent where none does. */
  readonly queue?: (() => QueueFigures) | undefined;
  readonly mayRead: (caller: Caller) => boolean;
}

/** Answers GET and HEAD of `/metrics` in the text format of Prometheus. */
export function metricsHandler(source: MetricsSource): ExchangeHandler {
  let metrics: Promise<Metrics> | null = null;
  return (exchange) => {
    if (exchange.method !== 'GET' && exchange.method !== 'HEAD') {
      answerProblem(exchange, 405, 'Metrics are read with GET.', Fields.of({ allow: 'GET, HEAD' }));
      return;
    }
    if (!source.mayRead(exchange.caller)) {
      answerProblem(exchange, 403, 'This account may not read server/metrics.');
      return;
    }
    let gone = false;
    exchange.on = { writable() {}, tick() {}, leave() {}, lost: () => (gone = true) };
    metrics ??= makeMetrics(source);
    metrics
      .then(async (made) => ({ type: made.contentType, text: await made.metrics() }))
      .then(
        ({ type, text }) => gone || answer(exchange, type, text),
        () => gone || answerProblem(exchange, 500, 'The metrics could not be read.'),
      );
  };
}

function answer(exchange: Exchange, type: string, text: string): void {
  const fields = Fields.of({ 'content-type': type, 'cache-control': 'no-store' });
  answerBytes(exchange, 200, fields, Buffer.from(text));
}

/** The library is loaded when it is first needed: a server that nobody scrapes starts faster without it. */
async function makeMetrics(source: MetricsSource): Promise<Metrics> {
  const { version, registry, topics, certificates, handshakes, calls, queue } = source;
  const library = await import('prom-client');
  const { Counter, Gauge, Registry: Made, collectDefaultMetrics } = library;
  const made = new Made();
  const registers = [made];
  collectDefaultMetrics({ register: made });
  const counter: Adding = (name, help, read) => {
    const metric = new Counter({
      name: `portico_${name}`,
      help,
      registers,
      collect() {
        // The figures only grow; what is kept here follows them.
        metric.reset();
        metric.inc(read());
      },
    });
  };
  const gauge: Adding = (name, help, read) => {
    new Gauge({
      name: `portico_${name}`,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  };
  new Gauge({ name: 'portico_info', help: 'What runs.', labelNames: ['version', 'node'], registers }).set(
    { version, node: process.version },
    1,
  );
  addConnections(counter, registry);
  new Gauge({
    name: 'portico_connections',
    help: 'Connections that stand, by protocol.',
    labelNames: ['protocol'],
    registers,
    collect() {
      this.reset();
      for (const { protocol } of registry.list()) this.inc({ protocol });
    },
  });
  addTopics(counter, gauge, topics);
  if (queue !== undefined) addQueue(counter, gauge, queue);
  gauge(
    'memory_budget_bytes',
    'The memory that the process may use before load is shed.',
    () => registry.memoryBytesMax,
  );
  addTls(library, registers, { certificates, handshakes });
  if (calls !== undefined) addCalls(library, registers, calls);
  return made;
}

type Adding = (name: string, help: string, read: () => number) => void;

function addConnections(counter: Adding, { figures }: MetricsSource['registry']): void {
  counter('connections_opened_total', 'Connections that were let in.', () => figures.opened);
  counter('connections_refused_total', 'Connections that were not let in.', () => figures.refused);
  counter('connections_shed_total', 'Connections that were ended for want of memory.', () => figures.shed);
  counter('faults_total', 'Connections that were ended because the peer broke its protocol.', () => figures.faults);
  counter('bugs_total', 'Errors of Portico’s own. Please report them.', () => figures.bugs);
}

function addTopics(counter: Adding, gauge: Adding, topics: MetricsSource['topics']): void {
  counter('topics_published_total', 'Messages that were taken.', () => topics().published);
  counter('topics_delivered_total', 'Deliveries to subscribers.', () => topics().delivered);
  counter('topics_dropped_total', 'Deliveries that a slow subscriber lost.', () => topics().dropped);
  counter('topics_expired_total', 'Messages that expired before they were delivered.', () => topics().expired);
  gauge('topics_retained', 'Topics with a retained value.', () => topics().retained);
  gauge('topics_subscriptions', 'Subscriptions.', () => topics().subscriptions);
  gauge('topics_subscribers', 'Subscribers that are connected.', () => topics().attached);
  gauge('topics_durables', 'Subscribers that last, connected or not.', () => topics().durables);
}

function addQueue(counter: Adding, gauge: Adding, queue: () => QueueFigures): void {
  gauge('mail_queue_mails', 'Mails that wait to be sent to other servers.', () => queue().mails);
  gauge('mail_queue_attempts_running', 'Attempts that are being made.', () => queue().underWay);
  counter('mail_queue_attempts_total', 'Attempts to bring a mail to a destination.', () => queue().attempts);
  counter('mail_queue_sent_total', 'Recipients whose server took the mail.', () => queue().sent);
  counter('mail_queue_deferred_total', 'Recipients that are tried again later.', () => queue().deferred);
  counter('mail_queue_failed_total', 'Recipients that were refused or given up.', () => queue().failed);
  counter('mail_queue_reports_total', 'Reports to senders.', () => queue().reports);
}

function addCalls(
  { Counter, Gauge }: Pick<typeof import('prom-client'), 'Counter' | 'Gauge'>,
  registers: Metrics[],
  calls: NonNullable<MetricsSource['calls']>,
): void {
  new Gauge({
    name: 'portico_calls',
    help: 'Calls of services whose handlers are at work.',
    registers,
    collect() {
      this.set(calls.figures.running);
    },
  });
  new Counter({
    name: 'portico_calls_total',
    help: 'Calls of services that ended, by how.',
    labelNames: ['service', 'method', 'code'],
    registers,
    collect() {
      this.reset();
      for (const [name, code, count] of calls.ends()) this.inc({ ...placeOf(name), code }, count);
    },
  });
}

/** `shop.v1.Orders/GetOrder`. */
function placeOf(name: string): { readonly service: string; readonly method: string } {
  const [service = '', method = ''] = name.split('/');
  return { service, method };
}

/** What handshakes came to, and how long certificates last. */
function addTls(
  { Counter, Gauge }: Pick<typeof import('prom-client'), 'Counter' | 'Gauge'>,
  registers: Metrics[],
  { certificates, handshakes }: Pick<MetricsSource, 'certificates' | 'handshakes'>,
): void {
  new Counter({
    name: 'portico_tls_handshakes_total',
    help: 'TLS handshakes by what they came to; plain: what was no TLS at all.',
    labelNames: ['result'],
    registers,
    collect() {
      this.reset();
      for (const [result, count] of Object.entries(handshakes())) this.inc({ result }, count);
    },
  });
  new Gauge({
    name: 'portico_certificate_expiry_seconds',
    help: 'When a certificate expires, in seconds since 1970.',
    labelNames: ['names', 'issuer'],
    registers,
    collect() {
      this.reset();
      for (const { names, issuer, expires } of certificates()) this.set({ names, issuer }, expires / 1_000);
    },
  });
}
