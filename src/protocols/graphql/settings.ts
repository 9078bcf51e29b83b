// What may be written of GraphQL in the configuration, beside its limits.
import { z } from 'zod';

export const graphqlSchema = z.strictObject({
  /** Whether the schema is told to those who ask. */
  introspection: z.boolean().default(true),
  /** Whether browsers are given the page to try it. */
  page: z.boolean().default(true),
  /** Documents that clients may name by `documentId`, or by their hash where that is the id. */
  documents: z.record(z.string().min(1), z.string().min(1)).default({}),
  /** No others are answered. */
  onlyDocuments: z.boolean().default(false),
});

export type GraphqlSettings = z.output<typeof graphqlSchema>;

export const GRAPHQL_DEFAULTS: GraphqlSettings = graphqlSchema.parse({});
