// npm smtp-server as it is fastest: nothing is looked up, stored or encrypted.
import { createRequire } from 'node:module';
import type { AddressInfo, Server } from 'node:net';
import { join } from 'node:path';
import type { Readable } from 'node:stream';

interface Options {
  readonly authOptional: boolean;
  readonly disabledCommands: readonly string[];
  readonly disableReverseLookup: boolean;
  onData(stream: Readable, session: unknown, done: () => void): void;
}

const load = createRequire(join(process.env.BENCH_PEERS ?? process.cwd(), 'package.json'));
const { SMTPServer } = load('smtp-server') as {
  SMTPServer: new (
    options: Options,
  ) => { listen(port: number, host: string, done: () => void): Server; server: Server };
};
const server = new SMTPServer({
  authOptional: true,
  disabledCommands: ['STARTTLS', 'AUTH'],
  disableReverseLookup: true,
  onData: (stream, _session, done) => void stream.on('end', done).resume(),
});
server.listen(0, '127.0.0.1', () => console.log((server.server.address() as AddressInfo).port));
