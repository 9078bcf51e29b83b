// SSH as the server lists it. It has no use but its subsystems.
import type { Pipe, Session } from '../../core/pipe.ts';
import type { Host, Protocol } from '../../core/protocol.ts';
import type { Resources } from '../../resources/resources.ts';
import { sshDissector } from './dissect.ts';
import { faults } from './faults.ts';
import { limits } from './limits.ts';
import { type SshHost, serveSsh } from './server.ts';

export const ssh: Protocol<Resources> = {
  name: 'ssh',
  specs: ['RFC 4251', 'RFC 4252', 'RFC 4253', 'RFC 4254', 'RFC 9142'],
  limits,
  faults,
  uses: ['accounts'],
  listens: [
    {
      on: 'tcp',
      port: 2022,
      standardPort: 22,
      pipe: (pipe: Pipe, host: Host<Resources>): Session => serveSsh(pipe, host as unknown as SshHost),
    },
  ],
  dissector: sshDissector,
};
