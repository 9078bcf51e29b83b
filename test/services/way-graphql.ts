// Calls over GraphQL for the table test, as `portico call graphql:` makes them.
import { carrierFor } from '../../src/exports/client.ts';
import type { CallReceiver } from '../../src/resources/services/contract.ts';
import type { Status } from '../../src/resources/services/status.ts';
import type { Ended, Opens } from './ways.ts';

export const graphqlCarrier: Opens = async (portico) => {
  const carrier = await carrierFor(portico.urls.http!.replace('http:', 'graphql:'), {});
  return {
    call(method, inputs, many) {
      return new Promise<Ended>((resolve) => {
        const outputs: unknown[] = [];
        const receiver: CallReceiver = {
          room: Number.POSITIVE_INFINITY,
          headers() {},
          message: (value) => void outputs.push(value),
          end: (status) => resolve(endedBy(outputs, status)),
          writable() {},
        };
        const terms = { metadata: [], timeoutMs: Number.POSITIVE_INFINITY, kind: many ? ('both' as const) : null };
        const call = carrier.begin('shop.v1.Orders', method, terms, receiver);
        for (const input of inputs) call.send(input);
        call.finish();
      });
    },
    close: () => carrier.close(),
  };
};

function endedBy(outputs: readonly unknown[], { code, message, details }: Status): Ended {
  const bad = details.find(({ type }) => type === 'google.rpc.BadRequest')?.value as
    | { fieldViolations: { field: string }[] }
    | undefined;
  return { outputs, code, message, fields: (bad?.fieldViolations ?? []).map(({ field }) => field) };
}
