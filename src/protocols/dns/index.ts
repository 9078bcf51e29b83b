// DNS as the server lists it.
import type { Protocol } from '../../core/protocol.ts';
import type { Resources } from '../../resources/resources.ts';
import { dnsDissector } from './dissect.ts';
import { faults } from './faults.ts';
import { limits } from './limits.ts';
import { serveDatagrams, serveMux, serveStream } from './server.ts';
import { serveHttps } from './server-https.ts';
import { serveZones } from './server-zones.ts';

/** The largest message and its length. */
const inputMax = () => 65_537;

export const dns: Protocol<Resources> = {
  name: 'dns',
  specs: [
    'RFC 1034',
    'RFC 1035',
    'RFC 2181',
    'RFC 6891',
    'RFC 7766',
    'RFC 7858',
    'RFC 8484',
    'RFC 9250',
    'RFC 2136',
    'RFC 8945',
  ],
  limits,
  faults,
  uses: ['names', 'topics'],
  listens: [
    { on: 'udp', port: 5300, standardPort: 53, datagrams: serveDatagrams },
    { on: 'tcp', port: 5300, standardPort: 53, inputMax, pipe: serveStream },
    { on: 'tls', port: 8853, standardPort: 853, alpn: 'dot', inputMax, pipe: serveStream },
    { on: 'quic', alpn: 'doq', port: 8853, standardPort: 853, mux: serveMux },
    { on: 'http', path: '/dns-query', anyone: true, exchange: serveHttps },
    { on: 'http', path: '/names/', exchange: serveZones },
  ],
  dissector: dnsDissector,
};
