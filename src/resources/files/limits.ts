// The bounds of files.
export const FILE_LIMITS = {
  /** How long what came of an upload is kept, to be continued. */
  pendingMs: 86_400_000,
  sweepMs: 3_600_000,
  locksMax: 10_000,
  locksPerAccountMax: 1_000,
  lockOwnerBytesMax: 4_096,
  lockMsMax: 3_600_000,
  propertiesBytesMax: 65_536,
  hashesMax: 1_024,
  /** Levels below where something deep begins. */
  depthMax: 128,
  /** Entries of a folder that are looked at together. */
  pageMax: 512,
  /** Of the names of what is kept beside a tree. */
  formerIdBytes: 12,
} as const;
