// grpc.health.v1.Health: whether the server, or one of its services, can be called (health-checking.md).
import { messageOf, writtenSchema } from '../../formats/schema/protobuf-google.ts';
import type { Call, CallOptions, CallReceiver, Method, Service } from '../../resources/services/contract.ts';
import { STATUS_OK, type Status } from '../../resources/services/status.ts';
import { faults } from './faults.ts';
import type { GrpcHost, OwnService } from './server-directory.ts';
import { statusOf } from './server-ending.ts';
import { ownService } from './server-own.ts';

const SCHEMA = writtenSchema({
  'grpc.health.v1.HealthCheckRequest': { service: '1 string' },
  'grpc.health.v1.HealthCheckResponse': { status: '1 grpc.health.v1.HealthCheckResponse.ServingStatus' },
  'grpc.health.v1.HealthCheckResponse.ServingStatus': { UNKNOWN: 0, SERVING: 1, NOT_SERVING: 2, SERVICE_UNKNOWN: 3 },
  'grpc.health.v1.HealthListRequest': {},
  'grpc.health.v1.HealthListResponse': { statuses: '1 map string grpc.health.v1.HealthCheckResponse' },
});

const REQUEST = messageOf(SCHEMA, 'grpc.health.v1.HealthCheckRequest');
const RESPONSE = messageOf(SCHEMA, 'grpc.health.v1.HealthCheckResponse');
const NAME = 'grpc.health.v1.Health';

/** JSON leaves out what is empty. */
function nameOf(value: unknown): string {
  return (value as { readonly service?: string }).service ?? '';
}

type Serving = 'SERVING' | 'NOT_SERVING' | 'SERVICE_UNKNOWN';

export class Health implements OwnService {
  readonly service: Service;
  private readonly host: GrpcHost;
  private watches = 0;

  constructor(host: GrpcHost) {
    this.host = host;
    this.service = ownService(NAME, SCHEMA, 'Whether the server and its services can be called.', [
      { name: 'Check', kind: 'unary', input: REQUEST, output: RESPONSE, idempotency: 'safe' },
      {
        name: 'List',
        kind: 'unary',
        input: messageOf(SCHEMA, 'grpc.health.v1.HealthListRequest'),
        output: messageOf(SCHEMA, 'grpc.health.v1.HealthListResponse'),
        idempotency: 'safe',
      },
      { name: 'Watch', kind: 'server', input: REQUEST, output: RESPONSE, idempotency: 'safe' },
    ]);
  }

  private of(service: string): Serving {
    const { host } = this;
    if (service !== '' && service !== NAME && host.resources.services?.all.has(service) !== true)
      return 'SERVICE_UNKNOWN';
    return host.leaving === true ? 'NOT_SERVING' : 'SERVING';
  }

  begin({ name }: Method, _options: CallOptions, receiver: CallReceiver): Call {
    if (name === 'Watch') return this.watch(receiver);
    return {
      room: 1,
      send: (value) => {
        if (name === 'List') this.list(receiver);
        else this.check(nameOf(value), receiver);
      },
      finish() {},
      more() {},
      cancel() {},
    };
  }

  private check(service: string, receiver: CallReceiver): void {
    const status = this.of(service);
    if (status === 'SERVICE_UNKNOWN') {
      receiver.end({ code: 'NOT_FOUND', message: `there is no service ${service}`, details: [] }, []);
      return;
    }
    receiver.message({ status });
    receiver.end(STATUS_OK, []);
  }

  private list(receiver: CallReceiver): void {
    const names = ['', ...(this.host.resources.services?.all.keys() ?? [])];
    receiver.message({ statuses: Object.fromEntries(names.map((name) => [name, { status: this.of(name) }])) });
    receiver.end(STATUS_OK, []);
  }

  /** Goes on until the caller goes; a service that there is not yet may come. */
  private watch(receiver: CallReceiver): Call {
    let service: string | null = null;
    let told: Serving | null = null;
    const tell = (): void => {
      if (service === null || receiver.room <= 0) return;
      const status = this.of(service);
      if (status === told) return;
      told = status;
      receiver.message({ status });
    };
    const full: Status | null = this.watches >= this.host.limits.watchesMax ? statusOf(faults.lookUps) : null;
    let stop = (): void => {};
    if (full === null) {
      this.watches++;
      const unheard = this.host.resources.services?.changed(tell);
      stop = () => {
        this.watches--;
        unheard?.();
        stop = () => {};
      };
    }
    return {
      room: 1,
      send: (value) => {
        service = nameOf(value);
        if (full === null) tell();
        else receiver.end(full, []);
      },
      finish() {},
      more: tell,
      cancel: () => stop(),
    };
  }
}
