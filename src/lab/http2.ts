// HTTP/2 in the lab: Portico's own client and server over the model of TCP and TLS.
import { bindLimits } from '../core/limits.ts';
import { SILENT } from '../core/log.ts';
import { type ClientBounds, Http2Client } from '../protocols/http2/client.ts';
import { limits } from '../protocols/http2/limits.ts';
import { type Http2Host, Http2Session } from '../protocols/http2/session.ts';
import { type Contender, type Scene, SERVER, serveBytes } from './contender.ts';
import { TcpModel } from './tcp-model.ts';

const BOUNDS: ClientBounds = {
  ...{ queueMax: 100, idleMs: 3_600_000, silenceMs: Number.POSITIVE_INFINITY, continueMs: 1_000, interimsMax: 5 },
};

function hostOf({ world }: Scene): Http2Host {
  return {
    resources: {},
    limits: bindLimits(limits, {}),
    get clock() {
      return world.turn.clock;
    },
    entropy: world.random,
    reach: null as never,
    log: SILENT,
    software: 'Portico/lab',
    routes: serveBytes,
  };
}

export const http2: Contender = {
  name: 'HTTP/2',
  label: 'Portico’s HTTP/2 over a model of TCP and TLS 1.3',
  serve(scene) {
    const host = hostOf(scene);
    // A listener: each address that comes has a connection of its own.
    const ends = new Map<string, TcpModel>();
    scene.network.open(SERVER, (port) => ({
      get deadline() {
        let least = Number.POSITIVE_INFINITY;
        for (const end of ends.values()) least = Math.min(least, end.deadline);
        return least;
      },
      receive(input, start, end, from, local, ecn, clock) {
        const name = `${from.host}:${from.port}`;
        let own = ends.get(name);
        if (own === undefined) {
          // The ticket is the client's to have: it says so in the first byte that matters to sizes alone.
          own = new TcpModel(
            scene.world,
            false,
            null,
            { resumed: from.port % 2 === 1, alpn: 'h2' },
            (pipe) => new Http2Session(pipe, host),
          ).start(port);
          ends.set(name, own);
        }
        own.receive(input, start, end, from, local, ecn, clock);
      },
      tick(clock) {
        for (const end of ends.values()) end.tick(clock);
      },
      leave() {},
      lost() {},
    }));
  },
  dial(scene, { resumed, ready, gone }) {
    const { world, network } = scene;
    // Odd ports come back with a ticket: both ends of the model have to know.
    const client = { host: scene.client.host, port: scene.client.port * 2 + (resumed ? 1 : 0) };
    let own: Http2Client | null = null;
    const end = new TcpModel(world, true, SERVER, { resumed, alpn: 'h2' }, (pipe) => {
      own = new Http2Client(pipe, world.turn, BOUNDS, { idle: () => {}, closed: () => gone() });
      world.soon(() => ready(own!));
      return own;
    });
    const port = network.open(client, (made) => end.start(made));
    return {
      move() {
        // Who has another address is another end to TCP.
        port.close();
        return false;
      },
      close: () => port.close(),
    };
  },
};
