// The same users on graphql-yoga, as its documentation has a server, with what costs it time turned off. Prints its port.
import { createServer, type RequestListener } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { userOf } from '../servers/users.ts';

interface Yoga {
  createSchema(given: object): object;
  createYoga(given: object): RequestListener;
}

process.env.NODE_ENV = 'production';
// Peers that are no dependency of this repository lie in a folder of their own.
const from = createRequire(join(process.env.BENCH_PEERS ?? process.cwd(), 'package.json'));
const { createSchema, createYoga } = from('graphql-yoga') as Yoga;

const schema = createSchema({
  typeDefs: `
    scalar DateTime
    type Query { usersGet(id: String!): User usersList(first: Int!): Users }
    type Users { users: [User!]! }
    type User {
      id: String! name: String! email: String! age: Int! score: Float! active: Boolean! city: String! country: String!
      joined: DateTime! about: String!
    }`,
  resolvers: {
    Query: {
      usersGet: (_root: unknown, { id }: { id: string }) => userOf(id),
      usersList: (_root: unknown, { first }: { first: number }) => ({
        users: Array.from({ length: first }, (_, at) => userOf(`u-${at}`)),
      }),
    },
  },
});

const server = createServer(createYoga({ schema, logging: false, graphiql: false }));
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port));
process.stdin.on('end', () => process.exit(0)).resume();
