// Who is compared in the lab: a version of HTTP with all that carries it, between one client and one server on a simulated path.
import type { ExchangeHandler } from '../core/exchange.ts';
import { Fields } from '../core/fields.ts';
import type { Address } from '../core/peer.ts';
import { answerBytes, answerProblem } from '../protocols/http/answers.ts';
import type { ClientConnection } from '../protocols/http/client.ts';
import type { DatagramNetwork, NetworkOptions } from '../sim/datagrams.ts';
import type { World } from '../sim/world.ts';

export const SERVER: Address = { host: '10.0.0.1', port: 443 };

export interface Path extends NetworkOptions {
  readonly latencyMs: number;
}

/** Where one run happens. */
export interface Scene {
  readonly world: World;
  readonly network: DatagramNetwork;
  /** Where the client is now: a move makes another. */
  client: Address;
}

export interface Contender {
  readonly name: string;
  /** What stands for the real thing here. */
  readonly label: string;
  /** Makes the server, once a scene. */
  serve(scene: Scene): void;
  /** Dials; `ready` is called when requests can be sent, `gone` when the connection has ended. */
  dial(scene: Scene, options: DialOptions): Dialled;
}

/** A connection that takes requests. */
export type Requests = Pick<ClientConnection, 'send'>;

export interface DialOptions {
  /** With what a connection of before left. */
  readonly resumed: boolean;
  ready(connection: Requests): void;
  gone(): void;
}

export interface Dialled {
  /** The client's address changes to `scene.client` under the connection. False: it does not outlive that. */
  move(): boolean;
  close(): void;
}

const ANSWER = Buffer.alloc(16_777_216, 'portico ');

/** `/bytes/<n>` and, for the rest of one, `/bytes/<n>?from=<m>`. */
export const serveBytes: ExchangeHandler = (exchange) => {
  const asked = /^\/bytes\/(\d+)(?:\?from=(\d+))?$/.exec(exchange.target);
  const size = Number(asked?.[1]);
  const from = Number(asked?.[2] ?? 0);
  if (asked === null || size > ANSWER.length || from > size) answerProblem(exchange, 404, 'There is /bytes/<n> here.');
  else answerBytes(exchange, 200, TYPE, ANSWER.subarray(from, size));
};

const TYPE = Fields.of({ 'content-type': 'application/octet-stream' }).fix();

/** Asks for `size` bytes, told of them as they come, and of the end. */
export function get(
  connection: Requests,
  target: string,
  told: { bytes(count: number): void; done(): void; failed(): void },
): boolean {
  const sent = connection.send(
    { method: 'GET', target, authority: 'portico.test', fields: new Fields(), silenceMs: Number.POSITIVE_INFINITY },
    {
      answered: () => ({
        receive(_input, start, end) {
          told.bytes(end - start);
          return end;
        },
        trailers() {},
        finish: () => told.done(),
        lost: () => told.failed(),
      }),
      over() {},
    },
    () => {},
  );
  return sent !== null;
}
