// GraphQL over HTTP: a query of ten fields, and one of a hundred things of ten fields.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Goal, Measured, Scene, Server, Workload } from '../contest.ts';
import { graphqlYoga, portico } from '../servers/entrants.ts';

const MODULE = fileURLToPath(new URL('../servers/users.ts', import.meta.url));
const entrants = [portico('http', { services: [MODULE] }), graphqlYoga];
const GOAL: Goal = { floor: 1.2, aim: 2 };

const FIELDS = '{ id name email age score active city country joined about }';
const ONE = { query: `query User($id: String!) { usersGet(id: $id) ${FIELDS} }`, variables: { id: 'u-1' } };
const MANY = { query: `query Users($n: Int!) { usersList(first: $n) { users ${FIELDS} } }`, variables: { n: 100 } };

function workload(name: string, request: object, pubs: number): Workload {
  return {
    name,
    unit: 'req/s',
    policy: 'none',
    entrants,
    goals: { [graphqlYoga.name]: GOAL },
    async measure(scene: Scene, { port }: Server): Promise<Measured> {
      const path = join(scene.folder, 'request');
      const body = JSON.stringify(request);
      const head =
        `POST /graphql HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json\r\n` +
        `Accept: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
      writeFileSync(path, head + body);
      return scene.load('request', { port, path, subs: 0, pubs, credit: 1 });
    },
  };
}

export const workloads: readonly Workload[] = [
  workload('a query of ten fields, 64 connections', ONE, 64),
  workload('a query of ten fields, 1 connection', ONE, 1),
  workload('a query of a hundred of ten fields, 64 connections', MANY, 64),
];
