// Who may hear of the other resources' events: they are topics below the resource's name, under the permissions of the thing
// that they tell of. Whoever may read `files/reports/a.txt` may hear `files/reports/a.txt`, and nobody else.
import type { Caller } from '../../core/caller.ts';
import { ALL, type Coverage, type Kind, type Permissions, SOME, type Verb } from '../../core/permissions.ts';
import { isApart } from './names.ts';

interface Grant {
  readonly verb: Verb;
  readonly kind: Kind;
}

/** By the first level of a topic. Of accounts and connections, administrators alone are told. */
const GRANTS: Readonly<Record<string, Grant>> = {
  files: { verb: 'read', kind: 'files' },
  mail: { verb: 'read', kind: 'mail' },
  names: { verb: 'read', kind: 'names' },
  rooms: { verb: 'read', kind: 'rooms' },
  accounts: { verb: 'administer', kind: 'accounts' },
  connections: { verb: 'administer', kind: 'server' },
};
const FIRST_LETTERS = new Set(Object.keys(GRANTS).map((name) => name.charCodeAt(0)));

function grantOf(topic: string): Grant | undefined {
  // Asked for each topic that is heard: most are told apart by their first letter.
  if (!FIRST_LETTERS.has(topic.charCodeAt(0))) return undefined;
  const slash = topic.indexOf('/');
  const first = slash < 0 ? topic : topic.slice(0, slash);
  return Object.hasOwn(GRANTS, first) ? GRANTS[first] : undefined;
}

const rest = (topic: string) => topic.slice(topic.indexOf('/') + 1 || topic.length);

/** The permissions of topics, events of the other resources among them. */
export class EventPermissions implements Permissions {
  private readonly permissions: Permissions;

  constructor(permissions: Permissions) {
    this.permissions = permissions;
  }

  get epoch(): number {
    return this.permissions.epoch;
  }

  may(caller: Caller, verb: Verb, kind: Kind, topic: string): boolean {
    const grant = kind === 'topics' && verb !== 'publish' ? grantOf(topic) : undefined;
    return grant === undefined
      ? this.permissions.may(caller, verb, kind, topic)
      : this.permissions.may(caller, grant.verb, grant.kind, rest(topic));
  }

  covers(caller: Caller, verb: Verb, kind: Kind, filter: string): Coverage {
    const { permissions } = this;
    const grant = kind === 'topics' ? grantOf(filter) : undefined;
    if (grant !== undefined) {
      const below = rest(filter);
      return below === '' ? this.whole(caller, grant, '#') : this.whole(caller, grant, below);
    }
    const coverage = permissions.covers(caller, verb, kind, filter);
    if (coverage !== ALL || kind !== 'topics' || !(filter.startsWith('#') || filter.startsWith('+'))) return coverage;
    // A wildcard in front takes in the events as well.
    const heard = Object.entries(GRANTS).filter(([name]) => !isApart(name));
    return heard.every(([, grant]) => this.whole(caller, grant, '#') === ALL) ? ALL : SOME;
  }

  private whole(caller: Caller, { verb, kind }: Grant, filter: string): Coverage {
    return this.permissions.covers(caller, verb, kind, filter);
  }
}
