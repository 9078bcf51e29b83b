// How services of other servers are named in the configuration.
import { z } from 'zod';

const url = z.url({ protocol: /^https?$/, error: 'is an http: or https: URL' });

const KINDS = ['graphql', 'openapi', 'grpc', 'soap'] as const;

const isUrl = (text: string) => /^https?:\/\//.test(text) && URL.canParse(text);

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
        /** Its WSDL: a URL, or a file. */
        soap: z
          .string()
          .min(1)
          .refine((text) => isUrl(text) || !/^[a-z][a-z0-9+.-]+:/i.test(text), 'is an http: or https: URL, or a file')
          .optional(),
        /** Of the WSDL, the port that is used; the first of SOAP 1.1, or else of SOAP 1.2. */
        soapPort: z.string().min(1).optional(),
        /** Where it is called, in place of where its WSDL says. */
        soapAddress: url.optional(),
        /** XML that stands in the header of each request, for what a partner wants there. */
        soapHeader: z.string().min(1).optional(),
        /** Operations that change nothing: queries of GraphQL. No WSDL says which do. */
        soapQueries: z.array(z.string().min(1)).optional(),
        /** Who calls: in the message (WS-Security), the password as text or as a digest, or in a field of HTTP. */
        soapSecurity: z
          .strictObject({
            user: z.string().min(1),
            password: z.string(),
            type: z.enum(['text', 'digest', 'basic']).default('text'),
          })
          .optional(),
        /** Metadata of a call that goes on to it, beside traceparent, tracestate and x-request-id. */
        metadata: z.array(z.string().regex(/^[a-z][a-z0-9-]*$/, 'is a name in lower case')).default([]),
        /** That requests have beside their own: `{ authorization: 'Bearer …' }`. */
        fields: z.record(z.string().regex(/^[a-z][a-z0-9-]*$/, 'is a field in lower case'), z.string()).default({}),
        /** A file in PEM of who may have issued its certificate, in place of those that all know. */
        authorities: z.string().min(1, 'a path is not empty').optional(),
      })
      .refine(
        (upstream) => KINDS.filter((kind) => upstream[kind] !== undefined).length === 1,
        `has one of ${KINDS.join(', ')}`,
      )
      .refine(
        ({ soap, soapPort, soapAddress, soapHeader, soapQueries, soapSecurity }) =>
          soap !== undefined || (soapPort ?? soapAddress ?? soapHeader ?? soapQueries ?? soapSecurity) === undefined,
        'has soapPort, soapAddress, soapHeader, soapQueries and soapSecurity only beside soap',
      ),
  )
  .refine((all) => new Set(all.map(({ name }) => name)).size === all.length, 'has two upstreams of one name')
  .default([]);

export type UpstreamPlan = z.output<typeof upstreamsSchema>[number];
