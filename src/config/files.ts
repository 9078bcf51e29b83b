// What can be configured of the files.
import { z } from 'zod';

const level = z
  .string()
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is refused
  .regex(/^(?!\.{0,2}$)[^/\u0000-\u001f\u007f]{1,255}$/, 'is a name without `/`, and not `.` or `..`')
  .refine((name) => name !== 'home' && name !== '.portico', 'is the name of a folder of the server itself');

export const filesSchema = z.strictObject({
  /** Where they are on the disk; `files` in the data folder when absent. */
  folder: z.string().min(1, 'a path is not empty').optional(),
  /** Folders of the root that are made at start. */
  folders: z.array(level).default(['shared']),
  /** Folders of elsewhere on the disk, by the name of the root that they stand below. */
  mounts: z
    .record(
      level,
      z.strictObject({ folder: z.string().min(1, 'a path is not empty'), readOnly: z.boolean().default(false) }),
    )
    .default({}),
  /** How much folders may hold; `*` stands for one level: `home/*` is each home. */
  quotas: z
    .array(
      z.strictObject({
        path: z.string().regex(/^(?:[^/]+(?:\/[^/]+)*)?$/, 'is a path without `/` at its ends'),
        bytes: z.int().min(1, 'is at least 1'),
      }),
    )
    .default([]),
  /** Over HTTP `x.br`, `x.gz` and `x.zst` are `x` coded, while they are not older. */
  precompressed: z.boolean().default(false),
  /** What is kept of what is deleted and overwritten, the narrowest of the folders that a path is in. */
  keep: z
    .array(
      z.strictObject({
        path: z.string().regex(/^(?:[^/]+(?:\/[^/]+)*)?$/, 'is a path without `/` at its ends'),
        trash: z.strictObject({ days: z.number().positive('is more than 0').max(36_500) }).optional(),
        versions: z
          .strictObject({
            count: z.int().min(1, 'is at least 1').max(1_000, 'is at most 1000'),
            days: z.number().positive('is more than 0').max(36_500),
          })
          .optional(),
      }),
    )
    .default([]),
  /** Tells of what other programs change in the folders; not when absent. */
  notice: z
    .strictObject({
      /** A change is told once nothing more was heard of it for so long. */
      quietMs: z.int().min(10).max(600_000).default(1_000),
      /** All folders are looked through again after so long. */
      rescanMs: z.int().min(1_000).max(86_400_000).default(600_000),
      /** Folders that are watched; the others are looked through. */
      foldersMax: z.int().min(0).max(1_000_000).default(10_000),
      /** Names that are known; what is beyond them is not told of. */
      namesMax: z.int().min(1).max(10_000_000).default(200_000),
    })
    .optional(),
  /** How fast the bytes of one account go, each way. */
  bytesPerSecond: z.int().min(1_024, 'is at least 1024').optional(),
});
