// SFTP as the server lists it: a subsystem of SSH.
import type { Pipe, Session } from '../../core/pipe.ts';
import type { Host, Protocol } from '../../core/protocol.ts';
import type { Resources } from '../../resources/resources.ts';
import { sftpDissector } from './dissect.ts';
import { faults } from './faults.ts';
import { limits } from './limits.ts';
import { type SftpHost, serveSftp } from './server.ts';

export const sftp: Protocol<Resources> = {
  name: 'sftp',
  specs: ['draft-ietf-secsh-filexfer-02', 'PROTOCOL of OpenSSH'],
  limits,
  faults,
  uses: ['files'],
  listens: [
    {
      on: 'ssh-subsystem',
      beside: 'ssh',
      port: 0,
      standardPort: 0,
      inputMax: ({ packetBytesMax = 262_144 }) => packetBytesMax + 4,
      pipe: (pipe: Pipe, host: Host<Resources>): Session => serveSftp(pipe, host as unknown as SftpHost),
    },
  ],
  dissector: sftpDissector,
};
