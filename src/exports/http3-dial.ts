// The way of HTTP clients to HTTP/3: a name becomes addresses, which are dialled one after the other, over QUIC.
import { lookup } from 'node:dns/promises';
import type { Address } from '../core/peer.ts';
import type { OpenConnection } from '../protocols/http1/pool.ts';
import { Http3Client } from '../protocols/http3/client.ts';
import { ENTROPY, turn } from './loop.ts';
import { dialMux } from './quic-dial.ts';

const bug = (error: unknown): void => {
  queueMicrotask(() => {
    throw error;
  });
};

export const openHttp3: OpenConnection = ({ host, port, tls }, limits, made, refused) => {
  const next = ([to, ...others]: readonly Address[], why: string): void => {
    if (to === undefined) {
      refused(why);
      return;
    }
    dialMux({
      turn,
      to,
      policy: tls!,
      make: (mux) => made((events) => new Http3Client(mux, turn, ENTROPY, limits, events)),
      refused: (reason) => next(others, reason),
      bug,
    });
  };
  lookup(host, { all: true }).then(
    (found) =>
      next(
        found.map(({ address }) => ({ host: address, port })),
        'it has no address',
      ),
    (error: Error) => refused(error.message),
  );
};
