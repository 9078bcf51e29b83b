// Outcomes of the resources as responses of IMAP: the codes of RFC 5530 and the words for them.
import {
  BUSY,
  DENIED,
  EXISTS,
  FAILED,
  FULL,
  GONE,
  INVALID,
  LATE,
  MISSING,
  OK,
  type OutcomeTable,
  STALE,
  UNKNOWN,
  UNSUPPORTED,
} from '../../core/outcome.ts';

export const RESPONSES: OutcomeTable<string> = {
  [OK]: 'OK Done.',
  [DENIED]: 'NO [NOPERM] Not allowed.',
  [UNKNOWN]: 'NO [AUTHENTICATIONFAILED] Sign in first.',
  [MISSING]: 'NO [NONEXISTENT] There is no such mailbox.',
  [EXISTS]: 'NO [ALREADYEXISTS] That is there already.',
  // What is well-formed and no name here is refused, not misunderstood (RFC 5530 §3).
  [INVALID]: 'NO [CANNOT] This cannot be a name here.',
  [STALE]: 'NO [INUSE] It was changed meanwhile.',
  [FULL]: 'NO [OVERQUOTA] There is no room for it.',
  [BUSY]: 'NO [UNAVAILABLE] Too much is going on: try again.',
  [LATE]: 'NO [UNAVAILABLE] It took too long.',
  [GONE]: 'NO [NONEXISTENT] It is not there any more.',
  [UNSUPPORTED]: 'NO [CANNOT] That cannot be done here.',
  [FAILED]: 'NO [SERVERBUG] The server failed at it.',
};
