// Services in a simulated world or on the event loop, and a receiver that writes down what it is given: for tests.
import { type Caller, OPERATOR } from '../../../core/caller.ts';
import type { Log, LogFields } from '../../../core/log.ts';
import { OPEN_PERMISSIONS, type Permissions } from '../../../core/permissions.ts';
import { World } from '../../../sim/world.ts';
import type { Call, CallReceiver, Metadata } from '../contract.ts';
import { describe, type ServiceDefinition } from '../define.ts';
import { OpenServices } from '../registry.ts';
import type { Status } from '../status.ts';

export const ANN: Caller = { account: 'ann', scopes: null, origin: 'local', epoch: 0, id: '1' };

/** Writes down what it is given. */
export class Written implements CallReceiver {
  readonly got: unknown[] = [];
  head: Metadata | null = null;
  status: Status | null = null;
  trailers: Metadata = [];
  room = Number.POSITIVE_INFINITY;
  writables = 0;

  headers(metadata: Metadata): void {
    this.head = metadata;
  }

  message(value: unknown): void {
    if (this.status !== null) throw new Error('a message after the end');
    this.room--;
    this.got.push(value);
  }

  end(status: Status, trailers: Metadata): void {
    if (this.status !== null) throw new Error('a second end');
    this.status = status;
    this.trailers = trailers;
  }

  writable(): void {
    this.writables++;
  }

  get code(): string {
    return this.status?.code ?? 'NONE';
  }
}

export class House {
  readonly world = new World(1);
  readonly logged: { readonly text: string; readonly fields: LogFields }[] = [];
  readonly services: OpenServices;

  constructor(
    definition: ServiceDefinition,
    {
      permissions = OPEN_PERMISSIONS,
      limits = {},
    }: { permissions?: Permissions; limits?: Record<string, number> } = {},
  ) {
    const error = (text: string, fields: LogFields = {}) => void this.logged.push({ text, fields });
    const log: Log = { debug() {}, info() {}, warn: error, error };
    this.services = new OpenServices({ turn: this.world.turn, log, permissions, limits });
    this.services.put('test', [describe(definition)]);
  }

  begin(
    name: string,
    { timeoutMs = Number.POSITIVE_INFINITY, caller = ANN, metadata = [] as Metadata, receiver = new Written() } = {},
  ): { readonly call: Call; readonly got: Written } {
    const [service] = this.services.all.values();
    const method = this.services.method(service!.name, name)!;
    const call = this.services.begin(method, { caller, connection: 1, metadata, timeoutMs }, receiver);
    return { call, got: receiver };
  }

  /** Begins a call with one input. */
  call(name: string, input: unknown, options: Parameters<House['begin']>[1] = {}) {
    const begun = this.begin(name, options);
    begun.call.send(input);
    begun.call.finish();
    return begun;
  }

  /** What promises have to do, and time. */
  async pass(ms = 0): Promise<void> {
    await rest();
    this.world.pass(ms);
    await rest();
  }

  /** Nothing runs, and nobody is remembered. */
  get figures() {
    return this.services.figures;
  }
}

export const QUIET = { running: 0, open: 0, callers: 0 };

/** All that promises can do by themselves has been done. */
export async function rest(): Promise<void> {
  for (let round = 0; round < 5; round++) await new Promise((resolve) => setImmediate(resolve));
}

export { OPERATOR };
