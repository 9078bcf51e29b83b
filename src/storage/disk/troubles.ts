// What errors of the disk are as outcomes.
import { BUSY, DENIED, EXISTS, FAILED, FULL, INVALID, MISSING, type Outcome } from '../../core/outcome.ts';

const OUTCOMES: Readonly<Record<string, Outcome>> = {
  ENOENT: MISSING,
  ENOTDIR: MISSING,
  ELOOP: MISSING,
  EEXIST: EXISTS,
  ENOTEMPTY: EXISTS,
  EISDIR: EXISTS,
  ENAMETOOLONG: INVALID,
  EINVAL: INVALID,
  EILSEQ: INVALID,
  ENOSPC: FULL,
  EDQUOT: FULL,
  EFBIG: FULL,
  EMLINK: FULL,
  EMFILE: BUSY,
  ENFILE: BUSY,
  EACCES: DENIED,
  EPERM: DENIED,
  EROFS: DENIED,
};

export function outcomeOf(error: unknown): Outcome {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return OUTCOMES[code] ?? FAILED;
}

export function isGone(error: unknown): boolean {
  return outcomeOf(error) === MISSING || outcomeOf(error) === INVALID;
}
