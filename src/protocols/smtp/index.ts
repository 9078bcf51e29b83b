// SMTP as the server lists it: for mail from other servers, and for submission by those who belong here.
import type { Pipe, Session } from '../../core/pipe.ts';
import type { Host, Protocol } from '../../core/protocol.ts';
import type { Resources } from '../../resources/resources.ts';
import { smtpDissector } from './dissect.ts';
import { faults } from './faults.ts';
import { limits } from './limits.ts';
import { type SmtpHost, serveSmtp } from './server.ts';

const serve =
  (submits: boolean) =>
  (pipe: Pipe, host: Host<Resources>): Session =>
    serveSmtp(pipe, host as SmtpHost, submits);

const SHARED = { limits, faults, uses: ['accounts', 'mail'], dissector: smtpDissector } as const;

export const smtp: Protocol<Resources> = {
  ...SHARED,
  name: 'smtp',
  specs: ['RFC 5321', 'RFC 1870', 'RFC 2034', 'RFC 2920', 'RFC 3030', 'RFC 3207', 'RFC 6152', 'RFC 6531'],
  listens: [{ on: 'tcp', port: 2525, standardPort: 25, pipe: serve(false) }],
};

export const submission: Protocol<Resources> = {
  ...SHARED,
  name: 'submission',
  specs: ['RFC 6409', 'RFC 4954', 'RFC 8314'],
  listens: [
    { on: 'tcp', port: 5587, standardPort: 587, pipe: serve(true) },
    { on: 'tls', port: 4465, standardPort: 465, pipe: serve(true) },
  ],
};
