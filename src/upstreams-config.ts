// How services of other servers are named in the configuration.
import { z } from 'zod';

const url = z.url({ protocol: /^https?$/, error: 'is an http: or https: URL' });

const KINDS = ['graphql', 'openapi', 'grpc'] as const;

export const upstreamsSchema = z
  .array(
    z
      .strictObject({
        /** How it is called here, with a package; of gRPC the services keep their own names. */
        name: z.string().regex(/^[a-z_]\w*(?:\.[a-z_]\w*)*\.[A-Z]\w*$/, 'is a name with a package: partner.v1.Shop'),
        /** Where its GraphQL is; it tells its schema by introspection. */
        graphql: url.optional(),
        /** Its OpenAPI document, in JSON; paths are below the document's first server, or its own host. */
        openapi: url.optional(),
        /** A server of gRPC that tells what it has by reflection. */
        grpc: url.optional(),
        /** That requests have beside their own: `{ authorization: 'Bearer …' }`. */
        fields: z.record(z.string().regex(/^[a-z][a-z0-9-]*$/, 'is a field in lower case'), z.string()).default({}),
        /** A file in PEM of who may have issued its certificate, in place of those that all know. */
        authorities: z.string().min(1, 'a path is not empty').optional(),
      })
      .refine(
        (upstream) => KINDS.filter((kind) => upstream[kind] !== undefined).length === 1,
        `has one of ${KINDS.join(', ')}`,
      ),
  )
  .refine((all) => new Set(all.map(({ name }) => name)).size === all.length, 'has two upstreams of one name')
  .default([]);

export type UpstreamPlan = z.output<typeof upstreamsSchema>[number];
