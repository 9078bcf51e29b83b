// SOAP: calls of one operation with an order of three items, read, checked, handled and answered.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Measured, Scene, Server, Workload } from '../contest.ts';
import { npmSoap, portico } from '../servers/entrants.ts';

const SERVICE = fileURLToPath(new URL('../servers/pricing.ts', import.meta.url));

const ITEM = '<items><sku>pen-4711</sku><quantity>2</quantity><unitPrice>1.5</unitPrice></items>';
const ENVELOPE =
  '<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>' +
  `<Price xmlns="urn:portico:bench.v1.Prices"><customer>Ann Example</customer>${ITEM.repeat(3)}` +
  '<note>ring twice &amp; wait</note><express>true</express></Price></s:Body></s:Envelope>';

function calls(pubs: number): Workload {
  return {
    name: `a call, ${ENVELOPE.length} B, ${pubs} connections`,
    unit: 'req/s',
    policy: 'none',
    entrants: [portico('http', { services: [SERVICE] }), npmSoap],
    goals: { [npmSoap.name]: { floor: 2, aim: 4 } },
    async measure(scene: Scene, { port }: Server): Promise<Measured> {
      const path = join(scene.folder, 'request');
      const head =
        `POST /soap/bench.v1.Prices HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: text/xml; charset=utf-8\r\n` +
        `SOAPAction: "urn:portico:bench.v1.Prices:Price"\r\nContent-Length: ${ENVELOPE.length}\r\n\r\n`;
      writeFileSync(path, head + ENVELOPE);
      return scene.load('request', { port, path, subs: 0, pubs, credit: 1 });
    },
  };
}

export const workloads: readonly Workload[] = [calls(64), calls(1)];
