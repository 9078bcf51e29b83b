// HTTP/3 in the lab: Portico's own QUIC, handshake and all, on the same simulated datagrams as the model of TCP.
import { createPublicKey } from 'node:crypto';
import { bindLimits } from '../core/limits.ts';
import { SILENT } from '../core/log.ts';
import type { Identity } from '../core/tls.ts';
import { Http3Client } from '../protocols/http3/client.ts';
import { limits } from '../protocols/http3/limits.ts';
import { type Http3Host, Http3Session } from '../protocols/http3/session.ts';
import type { TransportOptions } from '../protocols/quic/connection/options.ts';
import { type Ticket, VERSION_1 } from '../protocols/quic/crypto.ts';
import { QuicEndpoint } from '../protocols/quic/endpoint.ts';
import { quicLimits } from '../protocols/quic/limits.ts';
import {
  BACKDATED,
  DAY,
  distinguishedName,
  keyPem,
  makeCertificate,
  newKey,
  newSerial,
  pem,
  subjectAltName,
} from '../security/certificate.ts';
import { type Contender, type Scene, SERVER, serveBytes } from './contender.ts';

const BOUNDS = {
  ...{ queueMax: 100, idleMs: 3_600_000, silenceMs: Number.POSITIVE_INFINITY, continueMs: 1_000, interimsMax: 5 },
};
const NAME = 'portico.test';
const COMMON_NAME = '2.5.4.3';

/** What the server shows: its own signature, which clients here do not look at. Made once. */
let shown: Identity | null = null;

function identity(): Identity {
  if (shown !== null) return shown;
  const key = newKey();
  const name = distinguishedName([[COMMON_NAME, NAME]]);
  const now = Date.now();
  const plan = {
    ...{ serial: newSerial(), issuer: name, subject: name, from: now - BACKDATED, to: now + 365 * DAY },
    publicKey: createPublicKey(key),
    extensions: [subjectAltName([NAME], false)],
  };
  shown = { certificate: pem('CERTIFICATE', makeCertificate(plan, key)), key: keyPem(key) };
  return shown;
}

function hostOf({ world }: Scene): Http3Host {
  return {
    limits: bindLimits(limits, {}),
    get clock() {
      return world.turn.clock;
    },
    entropy: world.random,
    log: SILENT,
    routes: serveBytes,
  };
}

function base({ world }: Scene): Omit<TransportOptions, 'policy' | 'choose'> {
  return {
    limits: bindLimits(quicLimits, {}),
    entropy: world.random,
    versions: [VERSION_1],
    congestion: 'newreno',
    keepAliveMs: 0,
    migration: true,
    nameOf: (alpn) => alpn,
  };
}

/** What a scene's client has to come back with. */
const tickets = new WeakMap<Scene, Ticket>();

export const http3: Contender = {
  name: 'HTTP/3',
  label: 'Portico’s HTTP/3 and QUIC',
  serve(scene) {
    const host = hostOf(scene);
    const { world } = scene;
    scene.network.open(SERVER, (port) => {
      const transport: TransportOptions = {
        ...base(scene),
        policy: { role: 'server', ...identity(), alpn: ['h3'] },
        choose: (_alpn, mux) => new Http3Session(mux, host),
      };
      return new QuicEndpoint(port, {
        time: world.turn,
        transport,
        serves: true,
        bug: (error, where) => world.turn.bug(error, where),
      });
    });
  },
  dial(scene, { resumed, ready, gone }) {
    const { world, network } = scene;
    let endpoint!: QuicEndpoint;
    const port = network.open(scene.client, (made) => {
      const transport: TransportOptions = {
        ...base(scene),
        policy: { role: 'client', serverName: NAME, verify: false, alpn: ['h3'] },
        choose: (_alpn, mux) => {
          const client = new Http3Client(mux, world.turn, world.random, BOUNDS, { idle() {}, closed: () => gone() });
          world.soon(() => ready(client));
          return client;
        },
      };
      endpoint = new QuicEndpoint(made, {
        time: world.turn,
        transport,
        serves: false,
        bug: (error, where) => world.turn.bug(error, where),
      });
      return endpoint;
    });
    const ticket = resumed ? tickets.get(scene) : undefined;
    const connection = endpoint.dial(SERVER, {
      ...(ticket === undefined ? {} : { ticket, early: true }),
      onTicket: (given) => void tickets.set(scene, given),
    });
    port.touch();
    return {
      move() {
        network.move(port, scene.client);
        connection.migrate();
        port.touch();
        return true;
      },
      close: () => port.close(),
    };
  },
};
