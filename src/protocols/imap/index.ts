// IMAP as the server lists it.
import type { Pipe, Session } from '../../core/pipe.ts';
import type { Host, Protocol } from '../../core/protocol.ts';
import type { Resources } from '../../resources/resources.ts';
import { imapDissector } from './dissect.ts';
import { faults } from './faults.ts';
import { limits } from './limits.ts';
import { type ImapHost, serveImap } from './server.ts';

const serve = (pipe: Pipe, host: Host<Resources>): Session =>
  serveImap(pipe, host as ImapHost, host.resources.mail ?? null);

export const imap: Protocol<Resources> = {
  name: 'imap',
  specs: [
    ...[
      'RFC 9051',
      'RFC 3501',
      'RFC 2177',
      'RFC 2342',
      'RFC 2971',
      'RFC 3516',
      'RFC 4315',
      'RFC 4731',
      'RFC 4959',
      'RFC 4978',
    ],
    ...['RFC 5032', 'RFC 5161', 'RFC 5182', 'RFC 5256', 'RFC 5258', 'RFC 5267', 'RFC 5530', 'RFC 5819', 'RFC 6154'],
    ...['RFC 6851', 'RFC 6855', 'RFC 7162', 'RFC 7888', 'RFC 7889', 'RFC 8438', 'RFC 9208', 'RFC 9394'],
  ],
  limits,
  faults,
  uses: ['accounts', 'mail'],
  listens: [
    { on: 'tcp', port: 1143, standardPort: 143, pipe: serve },
    { on: 'tls', port: 9993, standardPort: 993, alpn: 'imap', pipe: serve },
  ],
  dissector: imapDissector,
};
