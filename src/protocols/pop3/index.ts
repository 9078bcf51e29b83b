// POP3 as the server lists it.
import type { Pipe, Session } from '../../core/pipe.ts';
import type { Host, Protocol } from '../../core/protocol.ts';
import type { Resources } from '../../resources/resources.ts';
import { pop3Dissector } from './dissect.ts';
import { faults } from './faults.ts';
import { limits } from './limits.ts';
import { type Pop3Host, servePop3 } from './server.ts';

const serve = (pipe: Pipe, host: Host<Resources>): Session =>
  servePop3(pipe, host as Pop3Host, host.resources.mail ?? null);

export const pop3: Protocol<Resources> = {
  name: 'pop3',
  specs: ['RFC 1939', 'RFC 2449', 'RFC 2595', 'RFC 3206', 'RFC 5034', 'RFC 6856'],
  limits,
  faults,
  uses: ['accounts', 'mail'],
  listens: [
    { on: 'tcp', port: 1110, standardPort: 110, pipe: serve },
    { on: 'tls', port: 9995, standardPort: 995, alpn: 'pop3', pipe: serve },
  ],
  dissector: pop3Dissector,
};
