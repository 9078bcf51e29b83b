// The protocols that Portico speaks, one line each. Nothing registers itself.
import type { Protocol } from './core/protocol.ts';
import { acme } from './protocols/acme/index.ts';
import { dns } from './protocols/dns/index.ts';
import { files } from './protocols/files/index.ts';
import { ftp } from './protocols/ftp/index.ts';
import { graphql } from './protocols/graphql/index.ts';
import { grpc } from './protocols/grpc/index.ts';
import { http1 } from './protocols/http1/index.ts';
import { http2 } from './protocols/http2/index.ts';
import { http3 } from './protocols/http3/index.ts';
import { imap } from './protocols/imap/index.ts';
import { lines } from './protocols/lines/index.ts';
import { messages } from './protocols/messages/index.ts';
import { mqtt } from './protocols/mqtt/index.ts';
import { openapi } from './protocols/openapi/index.ts';
import { pop3 } from './protocols/pop3/index.ts';
import { quic } from './protocols/quic/index.ts';
import { rest } from './protocols/rest/index.ts';
import { sftp } from './protocols/sftp/index.ts';
import { smtp, submission } from './protocols/smtp/index.ts';
import { soap } from './protocols/soap/index.ts';
import { sse } from './protocols/sse/index.ts';
import { ssh } from './protocols/ssh/index.ts';
import { webdav } from './protocols/webdav/index.ts';
import { websocket } from './protocols/websocket/index.ts';
import { webtransport } from './protocols/webtransport/index.ts';
import { wire } from './protocols/wire/index.ts';
import type { Resources } from './resources/resources.ts';

export const PROTOCOLS: readonly Protocol<Resources>[] = [
  http1,
  http2,
  http3,
  rest,
  openapi,
  files,
  webdav,
  sse,
  websocket,
  webtransport,
  soap,
  messages,
  graphql,
  grpc,
  acme,
  mqtt,
  lines,
  dns,
  ssh,
  sftp,
  ftp,
  smtp,
  submission,
  pop3,
  imap,
  quic,
  wire,
];
