// What callers may do: asked by the resources, never by a protocol. Who knows the rules stands behind it.
import type { Caller } from './caller.ts';

/** What can be done with a thing. Each resource uses those that mean something for it. */
export const VERBS = ['publish', 'subscribe', 'read', 'write', 'delete', 'list', 'call', 'administer'] as const;
export type Verb = (typeof VERBS)[number];

/** The first level of every resource path: `topics/devices/7`, `files/reports/a.txt`, `server` for what has no other. */
export const KINDS = ['topics', 'files', 'mail', 'names', 'services', 'rooms', 'accounts', 'server'] as const;
export type Kind = (typeof KINDS)[number];

// How much of what a filter matches a caller may have.
export const NONE = 0;
/** To be asked of each name. */
export const SOME = 1;
export const ALL = 2;
export type Coverage = typeof NONE | typeof SOME | typeof ALL;

export interface Permissions {
  /** Grows with each change of rules, groups and accounts: whoever keeps a grant keeps this beside it. */
  readonly epoch: number;
  /** Whether a caller may do this to the thing of that kind and name. Cached: some 100 ns for what was asked before. */
  may(caller: Caller, verb: Verb, kind: Kind, name: string): boolean;
  /** How much of what a filter (`+`, `#`) matches: a subscription is made for ALL and SOME, and asks of each name for SOME. */
  covers(caller: Caller, verb: Verb, kind: Kind, filter: string): Coverage;
}

/**
 * While there are no accounts: everything but what open mode never grants, to callers of this machine. The server makes
 * sure that there are no others.
 */
export const OPEN_PERMISSIONS: Permissions = {
  epoch: 0,
  may: (_caller, verb) => verb !== 'administer',
  covers: (_caller, verb) => (verb === 'administer' ? NONE : ALL),
};
