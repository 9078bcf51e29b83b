// Services of other servers, named in the configuration: each is asked what it has, appears behind all protocols of this one, and
// is asked again until it answers. What is called goes through the rules of where this server may dial.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { UpstreamPlan } from '../../config/upstreams.ts';
import type { Log } from '../../core/log.ts';
import type { Reach } from '../../core/reach.ts';
import type { Turn } from '../../core/turn.ts';
import { GrpcConnection } from '../../exports/grpc.ts';
import { graphqlUpstream } from '../../protocols/graphql/server-upstream.ts';
import { baseOf, readDocument } from '../../protocols/openapi/read-document.ts';
import { describeOpenapi, type RestCarrier } from '../../protocols/openapi/server-upstream.ts';
import { describeSoap, type SoapCarrier } from '../../protocols/soap/server-upstream.ts';
import { type LoadDocument, loadWsdl } from '../../protocols/soap/wsdl-documents.ts';
import { importWsdl } from '../../protocols/soap/wsdl-import.ts';
import { callOver } from '../../resources/services/client.ts';
import type { Service } from '../../resources/services/contract.ts';
import type { Described, Handled } from '../../resources/services/define.ts';
import type { HandlerCall } from '../../resources/services/handler.ts';
import { Asker } from '../asking.ts';
import { GraphqlUpstream } from './graphql-upstream.ts';
import { Forwarding, msLeft } from './upstream-terms.ts';

export interface UpstreamsOptions {
  readonly reach: Reach;
  readonly turn: Turn;
  readonly log: Log;
  readonly services: { put(source: string, services: readonly Described[]): void };
}

const ASK_MS = 30_000;
/** The most that a call may take, whatever its deadline. */
const CALL_MS = 600_000;
/** A call that is past its deadline is ended by who began it; this long after it the answer is given up anyhow. */
const GRACE_MS = 5_000;
const AGAIN_MS = 1_000;
const AGAIN_MOST_MS = 60_000;
const DOCUMENT_BYTES_MAX = 16_777_216;
const ANSWER_BYTES_MAX = 16_777_216;
/** What is left out of one upstream is not told more often than this. */
const NOTES_MAX = 20;

export class Upstreams {
  private readonly options: UpstreamsOptions;
  private readonly asker: Asker;
  private readonly timers = new Set<NodeJS.Timeout>();
  private readonly closers: (() => void)[] = [];
  private closed = false;

  constructor(plans: readonly UpstreamPlan[], options: UpstreamsOptions) {
    this.options = options;
    this.asker = new Asker(options.reach, options.turn);
    for (const plan of plans) this.load(plan, 0);
  }

  close(): void {
    this.closed = true;
    for (const timer of this.timers) clearTimeout(timer);
    for (const close of this.closers.splice(0)) close();
    this.asker.close();
  }

  private load(plan: UpstreamPlan, failures: number): void {
    const { log, services } = this.options;
    this.describe(plan).then(
      (described) => {
        if (this.closed) return;
        try {
          services.put(`the upstream ${plan.name}`, described);
          log.info('an upstream is there', {
            name: plan.name,
            services: described.map(({ service }) => service.name).join(' '),
          });
        } catch (error) {
          log.error('an upstream is not served', { name: plan.name, why: (error as Error).message });
        }
      },
      (error: unknown) => {
        if (this.closed) return;
        if (failures === 0)
          log.warn('an upstream does not say what it has', { name: plan.name, why: (error as Error).message });
        const timer = setTimeout(
          () => {
            this.timers.delete(timer);
            this.load(plan, failures + 1);
          },
          Math.min(AGAIN_MOST_MS, AGAIN_MS * 2 ** failures),
        );
        timer.unref();
        this.timers.add(timer);
      },
    );
  }

  private async describe(plan: UpstreamPlan): Promise<Described[]> {
    const authorities = plan.authorities === undefined ? {} : { authorities: readFileSync(plan.authorities, 'utf8') };
    if (plan.graphql !== undefined) return [await this.graphql(plan, plan.graphql, authorities)];
    if (plan.soap !== undefined) return [await this.soap(plan, plan.soap, authorities)];
    if (plan.openapi !== undefined) return [await this.openapi(plan, plan.openapi, authorities)];
    return this.grpc(plan, plan.grpc!, authorities);
  }

  private async graphql({ name, fields, metadata }: UpstreamPlan, at: string, trust: Trust): Promise<Described> {
    const { reach, turn } = this.options;
    const carrier = new GraphqlUpstream((...given) => reach.dial(...given), turn, {
      ...{ url: at, fields, metadata },
      ...trust,
    });
    try {
      const described = await graphqlUpstream(carrier, { name }, AbortSignal.timeout(ASK_MS));
      this.closers.push(() => carrier.close());
      return described;
    } catch (error) {
      carrier.close();
      throw error;
    }
  }

  private async openapi({ name, fields, metadata }: UpstreamPlan, at: string, trust: Trust): Promise<Described> {
    const { asker } = this;
    const forwarding = new Forwarding(metadata);
    const document = await asker.ask(at, { fields, bytesMax: DOCUMENT_BYTES_MAX, withinMs: ASK_MS, ...trust });
    if (document.status !== 200) throw new Error(`${at} answered with status ${document.status}`);
    const read = await readDocument(document.body.toString());
    const base = baseOf(read, at);
    const carrier: RestCarrier = {
      async ask(method, target, own, body, call) {
        const waitMs = Math.min(CALL_MS, msLeft(call));
        const { status, body: answer } = await asker.ask(`${base}${target}`, {
          method,
          fields: {
            // How long the answer is waited for (RFC 7240 §4.3).
            ...{ accept: 'application/json', prefer: `wait=${Math.max(1, Math.ceil(waitMs / 1_000))}` },
            ...forwarding.fieldsOf(call),
            ...fields,
            ...own,
          },
          ...(body === null ? {} : { body: Buffer.from(body) }),
          ...{ bytesMax: ANSWER_BYTES_MAX, withinMs: waitMs + GRACE_MS, signal: call.signal },
          ...trust,
        });
        return { status, text: answer.toString() };
      },
    };
    return describeOpenapi(read, name, carrier);
  }

  private async soap(plan: UpstreamPlan, at: string, trust: Trust): Promise<Described> {
    const { asker } = this;
    const { name, fields, soapPort: port = '', soapAddress: address = '', soapQueries: safe = [] } = plan;
    const { soapSecurity: given, soapHeader: header = '' } = plan;
    const sender = given === undefined ? null : { way: given.type, user: given.user, password: given.password };
    const forwarding = new Forwarding(plan.metadata);
    const url = /^https?:/.test(at) ? at : pathToFileURL(resolve(at)).href;
    const origin = new URL(url).origin;
    const basic: Record<string, string> =
      sender?.way === 'basic'
        ? { authorization: `Basic ${Buffer.from(`${sender.user}:${sender.password}`).toString('base64')}` }
        : {};
    const load: LoadDocument = async (each) => {
      if (each.startsWith('file:')) return { bytes: await readFile(fileURLToPath(each)), charset: '' };
      // What is its own is not for who else keeps a schema.
      const own = new URL(each).origin === origin ? { ...basic, ...fields } : {};
      const told = await asker.ask(each, { fields: own, bytesMax: DOCUMENT_BYTES_MAX, withinMs: ASK_MS, ...trust });
      if (told.status === 200) return { bytes: told.body, charset: '' };
      throw new Error(`${each} answered with status ${told.status}`);
    };
    const imported = importWsdl(await loadWsdl(url, load), { name, port, safe });
    for (const what of imported.notes.slice(0, NOTES_MAX))
      this.options.log.warn('an upstream has something that is left out', { name, what });
    const carrier: SoapCarrier = {
      async ask(location, own, body, call) {
        const told = await asker.ask(location, {
          ...{ method: 'POST', body, bytesMax: ANSWER_BYTES_MAX, signal: call.signal },
          fields: { ...forwarding.fieldsOf(call), ...fields, ...own },
          withinMs: Math.min(CALL_MS, msLeft(call)) + GRACE_MS,
          ...trust,
        });
        return { status: told.status, contentType: told.fields.get('content-type') ?? '', body: told.body };
      },
    };
    return describeSoap(imported, carrier, { sender, header, address, random: randomBytes });
  }

  private async grpc({ fields, metadata }: UpstreamPlan, at: string, { authorities }: Trust): Promise<Described[]> {
    const { reach, turn } = this.options;
    const tls = authorities === undefined ? {} : { tls: { authorities } };
    const way = { dial: ((...given) => reach.dial(...given)) as Reach['dial'], turn };
    const connection = new GrpcConnection(at, { headers: fields, ...tls }, way);
    try {
      const services = await connection.reflect();
      this.closers.push(() => connection.close());
      // What every Portico has, this one has itself.
      return services
        .filter(({ name }) => !name.startsWith('grpc.') && !name.startsWith('portico.'))
        .map((service) => describedOver(service, connection, new Forwarding(metadata)));
    } catch (error) {
      connection.close();
      throw error;
    }
  }
}

interface Trust {
  readonly authorities?: string;
}

/** A service whose handlers call another server's. */
function describedOver(service: Service, { carrier }: GrpcConnection, forwarding: Forwarding): Described {
  const handlers = new Map<string, Handled>();
  for (const name of service.methods.keys()) {
    const handler = (input: unknown, call: HandlerCall) =>
      callOver(carrier, service.name, name, input, {
        ...{ signal: call.signal, timeoutMs: msLeft(call), metadata: forwarding.metadataOf(call) },
      });
    handlers.set(name, { handler: handler as Handled['handler'], refineInput: null, refineOutput: null });
  }
  const own: Service = { ...service, origin: 'upstream', methods: new Map() };
  for (const [name, method] of service.methods)
    (own.methods as Map<string, unknown>).set(name, { ...method, service: own });
  return { service: own, handlers };
}
