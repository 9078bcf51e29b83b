// What the system says of files, as outcomes.
import { BUSY, DENIED, EXISTS, FAILED, FULL, INVALID, MISSING, type Outcome } from '../../core/outcome.ts';

const BY_CODE: Readonly<Record<string, Outcome>> = {
  ENOENT: MISSING,
  ENOTDIR: MISSING,
  EEXIST: EXISTS,
  ENOTEMPTY: EXISTS,
  EISDIR: INVALID,
  ELOOP: INVALID,
  EINVAL: INVALID,
  ENAMETOOLONG: INVALID,
  EILSEQ: INVALID,
  ENOSPC: FULL,
  EDQUOT: FULL,
  EFBIG: FULL,
  EACCES: DENIED,
  EPERM: DENIED,
  EROFS: DENIED,
  EMFILE: BUSY,
  ENFILE: BUSY,
};

export function outcomeOfError(error: unknown): Outcome {
  return BY_CODE[(error as NodeJS.ErrnoException | null)?.code ?? ''] ?? FAILED;
}
