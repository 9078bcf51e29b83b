// FTP as the server lists it.
import type { Pipe, Session } from '../../core/pipe.ts';
import { type Host, type Protocol, reportBug } from '../../core/protocol.ts';
import type { Resources } from '../../resources/resources.ts';
import { ftpDissector } from './dissect.ts';
import { faults } from './faults.ts';
import { limits } from './limits.ts';
import { type FtpHost, serveFtp } from './server.ts';
import { CallerFiles, NOWHERE } from './server-files.ts';
import { FTP_DEFAULTS, type FtpSettings } from './settings.ts';

const serve =
  (implicit: boolean) =>
  (pipe: Pipe, host: Host<Resources>): Session => {
    const settings = (host.settings as FtpSettings | undefined) ?? FTP_DEFAULTS;
    const { files } = host.resources;
    return serveFtp(pipe, host as FtpHost, settings, implicit, (caller, readOnly) => {
      if (files === undefined) return NOWHERE;
      return new CallerFiles(files, caller, readOnly, (error) => {
        // Nobody knows what was answered.
        reportBug(host, error, 'ftp', { pipe: pipe.id });
        pipe.reset(0);
      });
    });
  };

export const ftp: Protocol<Resources> = {
  name: 'ftp',
  specs: ['RFC 959', 'RFC 2228', 'RFC 2389', 'RFC 2428', 'RFC 2640', 'RFC 3659', 'RFC 4217', 'RFC 7151'],
  limits,
  faults,
  uses: ['accounts', 'files'],
  listens: [
    { on: 'tcp', port: 2121, standardPort: 21, pipe: serve(false) },
    { on: 'tls', port: 9990, standardPort: 990, shakes: true, pipe: serve(true) },
  ],
  dissector: ftpDissector,
};
