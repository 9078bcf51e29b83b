// What the files answer, as SFTP's status codes (draft-ietf-secsh-filexfer-02 §7), with words for a person.
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
import { SSH_FX, type StatusCode } from './codec.ts';

export const OUTCOME_STATUS: OutcomeTable<readonly [StatusCode, string]> = {
  [OK]: [SSH_FX.OK, ''],
  [DENIED]: [SSH_FX.PERMISSION_DENIED, 'a rule forbids it'],
  [UNKNOWN]: [SSH_FX.PERMISSION_DENIED, 'sign in first'],
  [MISSING]: [SSH_FX.NO_SUCH_FILE, 'there is no such file or folder'],
  [EXISTS]: [SSH_FX.FAILURE, 'there is one already, or the folder is not empty'],
  [INVALID]: [SSH_FX.FAILURE, 'this is no name or no place for it'],
  [STALE]: [SSH_FX.FAILURE, 'it has changed meanwhile'],
  [FULL]: [SSH_FX.FAILURE, 'the disk or a quota is full'],
  [BUSY]: [SSH_FX.FAILURE, 'it is locked, or the server has too much to do'],
  [LATE]: [SSH_FX.FAILURE, 'it took too long'],
  [GONE]: [SSH_FX.FAILURE, 'the server is going away'],
  [UNSUPPORTED]: [SSH_FX.OP_UNSUPPORTED, 'this is not done here'],
  [FAILED]: [SSH_FX.FAILURE, 'the disk failed'],
};
