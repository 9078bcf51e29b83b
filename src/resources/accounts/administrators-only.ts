// The rules where none can be written: who is in the group `admins` may do all, everybody else nothing.
import type { Caller } from '../../core/caller.ts';
import { ALL, type Coverage, NONE } from '../../core/permissions.ts';
import type { Groups, RuleBook } from './accounts.ts';

export class AdministratorsOnly implements RuleBook {
  epoch = 0;
  readonly grantsAnonymous = false;
  private groups: Groups = { groupsOf: () => null };

  replace(_rules: readonly unknown[], groups: Groups): void {
    this.epoch++;
    this.groups = groups;
  }

  may({ account, scopes }: Caller): boolean {
    return scopes === null && this.groups.groupsOf(account)?.includes('admins') === true;
  }

  covers(caller: Caller): Coverage {
    return this.may(caller) ? ALL : NONE;
  }
}
