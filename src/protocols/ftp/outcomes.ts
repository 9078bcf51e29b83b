// Outcomes of the resources as replies of FTP, and the words for them.
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

export const REPLIES: OutcomeTable<readonly [code: number, text: string]> = {
  [OK]: [250, 'Done.'],
  [DENIED]: [550, 'Not allowed.'],
  [UNKNOWN]: [530, 'Sign in first.'],
  [MISSING]: [550, 'There is no such file or folder.'],
  [EXISTS]: [553, 'That is there already.'],
  [INVALID]: [553, 'This cannot be a name here.'],
  [STALE]: [450, 'It was changed meanwhile.'],
  [FULL]: [552, 'There is no room for it.'],
  [BUSY]: [450, 'Too much is going on: try again.'],
  [LATE]: [426, 'It took too long.'],
  [GONE]: [421, 'The server is going away.'],
  [UNSUPPORTED]: [504, 'That cannot be done here.'],
  [FAILED]: [451, 'The server failed at it.'],
};
