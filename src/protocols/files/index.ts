// The files over plain HTTP as the server lists it.
import type { Host, Protocol } from '../../core/protocol.ts';
import type { Resources } from '../../resources/resources.ts';
import { filesDissector } from './dissect.ts';
import { faults } from './faults.ts';
import { limits } from './limits.ts';
import { serveFiles, serveUploads } from './server.ts';
import type { FilesHost } from './server-answers.ts';
import { serveShares } from './server-shares.ts';

export const files: Protocol<Resources> = {
  name: 'files',
  specs: ['docs/files.md', 'RFC 9110', 'RFC 9457', 'RFC 7578', 'draft-ietf-httpbis-resumable-upload', 'tus 1.0.0'],
  limits,
  faults,
  uses: ['files'],
  listens: [
    { on: 'http', path: '/files/', exchange: (host: Host<Resources>) => serveFiles(host as FilesHost) },
    { on: 'http', path: '/files', exchange: (host: Host<Resources>) => serveFiles(host as FilesHost) },
    { on: 'http', path: '/uploads/', exchange: (host: Host<Resources>) => serveUploads(host as FilesHost) },
    {
      on: 'http',
      path: '/shared/',
      anyone: true,
      exchange: (host: Host<Resources>) => serveShares(host as FilesHost),
    },
  ],
  dissector: filesDissector,
};
