// Lines as the server lists it.
import type { Host, Protocol } from '../../core/protocol.ts';
import type { Resources } from '../../resources/resources.ts';
import { beginsWithCommand } from './codec.ts';
import { LinesDatagrams } from './datagrams.ts';
import { linesDissector } from './dissect.ts';
import { faults } from './faults.ts';
import { limits } from './limits.ts';
import { type LinesHost, serveLines } from './server.ts';

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
      pipe: (pipe, host: Host<Resources>) => serveLines(pipe, host as LinesHost),
    },
    {
      on: 'udp',
      port: 7000,
      standardPort: 7000,
      datagrams: (port, host: Host<Resources>) => new LinesDatagrams(port, host as LinesHost),
    },
  ],
  dissector: linesDissector,
};
