// Outcomes of the resources as replies of POP3: response codes (RFC 2449 §8, RFC 3206) and the words for them.
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

export const REPLIES: OutcomeTable<string> = {
  [OK]: 'Done.',
  [DENIED]: '[AUTH] Not allowed.',
  [UNKNOWN]: '[AUTH] Sign in first.',
  [MISSING]: 'There is no such thing.',
  [EXISTS]: 'That is there already.',
  [INVALID]: 'This cannot be understood.',
  [STALE]: 'It was changed meanwhile.',
  [FULL]: '[SYS/PERM] There is no room for it.',
  [BUSY]: '[SYS/TEMP] Too much is going on: try again.',
  [LATE]: '[SYS/TEMP] It took too long.',
  [GONE]: 'It is not there any more.',
  [UNSUPPORTED]: 'That cannot be done here.',
  [FAILED]: '[SYS/TEMP] The server failed at it.',
};
