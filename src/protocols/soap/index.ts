// SOAP as the server lists it.
import type { Host, Protocol } from '../../core/protocol.ts';
import type { Resources } from '../../resources/resources.ts';
import { soapDissector } from './dissect.ts';
import { faults } from './faults.ts';
import { limits } from './limits.ts';
import { PREFIX, type SoapHost, serveSoap } from './server.ts';

export const soap: Protocol<Resources> = {
  name: 'soap',
  specs: ['SOAP 1.1', 'SOAP 1.2', 'WSDL 1.1', 'WS-Addressing 1.0', 'WS-Security UsernameToken 1.1', 'XOP, MTOM'],
  limits,
  faults,
  uses: ['services', 'accounts'],
  // A message may say in its own headers who it is from, so that who asks is found out behind the route.
  listens: [
    {
      on: 'http',
      path: PREFIX,
      anyone: true,
      exchange: (host: Host<Resources>) => serveSoap(host as unknown as SoapHost),
    },
  ],
  dissector: soapDissector,
};
