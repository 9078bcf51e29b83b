// Lines as the server lists it.
import type { Pipe, Session } from '../../core/pipe.ts';
import type { Host, Protocol } from '../../core/protocol.ts';
import type { Resources } from '../../resources/resources.ts';
import { beginsWithCommand } from './codec.ts';
import { LinesDatagrams } from './datagrams.ts';
import { linesDissector } from './dissect.ts';
import { faults } from './faults.ts';
import { limits } from './limits.ts';
import { type LinesHost, serveLines } from './server.ts';

const serve = (pipe: Pipe, host: Host<Resources>): Session => serveLines(pipe, host as LinesHost);

export const lines: Protocol<Resources> = {
  name: 'lines',
  specs: ['docs/lines.md'],
  limits,
  faults,
  uses: ['topics'],
  listens: [
    {
      on: 'tcp',
      port: 7000,
      standardPort: 7000,
      recognises: beginsWithCommand,
      pipe: serve,
    },
    { on: 'tls', port: 7443, standardPort: 7443, recognises: beginsWithCommand, pipe: serve },
    {
      on: 'udp',
      port: 7000,
      standardPort: 7000,
      datagrams: (port, host: Host<Resources>) => new LinesDatagrams(port, host as LinesHost),
    },
  ],
  dissector: linesDissector,
};
