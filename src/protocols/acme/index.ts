// ACME as the server lists it. Where no certificates are issued there is nothing at its paths.
import type { HttpListens, Protocol } from '../../core/protocol.ts';
import type { Resources } from '../../resources/resources.ts';
import { answerProblem } from '../http/answers.ts';
import { acmeDissector } from './dissect.ts';
import { faults } from './faults.ts';
import { limits } from './limits.ts';
import { type AcmeHost, AcmeServer, ROOT } from './server.ts';

const route: HttpListens<Resources> = {
  on: 'http',
  path: `${ROOT}/`,
  // Who asks is told by its signatures, and what it may have by its proofs.
  anyone: true,
  exchange(host) {
    const { certificates } = host.resources;
    if (certificates === undefined) return (exchange) => answerProblem(exchange, 404, 'Nothing is issued here.');
    return new AcmeServer(host as unknown as AcmeHost, certificates).handle;
  },
};

export const acme: Protocol<Resources> = {
  name: 'acme',
  specs: ['RFC 8555', 'RFC 8737', 'RFC 8738', 'RFC 9773'],
  limits,
  faults,
  uses: ['certificates'],
  listens: [route],
  dissector: acmeDissector,
};
