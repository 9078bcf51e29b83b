// Who may do what to which path: the rules, and what follows from them for the folders on the way to what may be seen.
import type { Caller } from '../../core/caller.ts';
import { DENIED, OK, type Outcome, UNKNOWN } from '../../core/outcome.ts';
import { ALL, type Permissions, type Verb } from '../../core/permissions.ts';

export const HOMES = 'home';

export type FileVerb = Extract<Verb, 'read' | 'write' | 'delete' | 'list'>;

export class Rights {
  private readonly permissions: Permissions;

  constructor(permissions: Permissions) {
    this.permissions = permissions;
  }

  may(caller: Caller, verb: FileVerb, path: string): boolean {
    return this.permissions.may(caller, verb, 'files', path);
  }

  check(caller: Caller, verb: FileVerb, path: string): Outcome {
    return this.may(caller, verb, path) ? OK : refusal(caller);
  }

  /** Whether a caller may know that something is there. */
  sees(caller: Caller, path: string): boolean {
    return this.may(caller, 'list', path) || this.may(caller, 'read', path) || this.passes(caller, path);
  }

  /** Whether a folder may be listed: it shows what the caller sees of what is in it. */
  lists(caller: Caller, path: string): boolean {
    return this.may(caller, 'list', path) || this.passes(caller, path);
  }

  /** The folders on the way to a home are for all who have one. */
  private passes(caller: Caller, path: string): boolean {
    return (path === '' || path === HOMES) && caller.account !== '';
  }

  /** Whether a caller may do that to all that is below a folder. */
  mayBelow(caller: Caller, verb: FileVerb, path: string): Outcome {
    if (!this.may(caller, verb, path)) return refusal(caller);
    // A name with a wildcard in it would be taken for a filter: what holds for the folder above holds for it.
    const levels = path.split('/');
    const wild = levels.findIndex((level) => /[+#]/.test(level));
    const fixed = (wild < 0 ? levels : levels.slice(0, wild)).join('/');
    const filter = fixed === '' ? '#' : `${fixed}/#`;
    return this.permissions.covers(caller, verb, 'files', filter) === ALL ? OK : refusal(caller);
  }

  refusal(caller: Caller): Outcome {
    return refusal(caller);
  }
}

function refusal(caller: Caller): Outcome {
  return caller.account === '' ? UNKNOWN : DENIED;
}

/** Names that cannot be a level are nobody's home. */
export function homeOf({ account }: Caller): string {
  return account === '' || account === '.' || account === '..' || account.includes('/') ? '' : `${HOMES}/${account}`;
}

export function ownerOf(path: string): string {
  const [first, second] = path.split('/', 2);
  return first === HOMES ? (second ?? '') : '';
}
