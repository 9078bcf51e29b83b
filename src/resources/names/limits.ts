// Bounds of the names that no protocol has a part in.

export const NAMES_LIMITS = {
  /** Changes of a zone that IXFR can go back by. */
  journalMax: 1_000,
  journalBytesMax: 16 * 1_024 * 1_024,
  /** Bytes of changes behind a snapshot before it is written anew; never less than half of the snapshot. */
  keptChangesBytes: 1_048_576,
  /** Bytes of a snapshot in one record of the store. */
  chunkBytes: 1_048_576,
  /** Changes that wait for those before them, a zone. */
  waitingMax: 1_000,
  /** Records that one change may bring. */
  changeRecordsMax: 100_000,
  /** Records of a zone that comes by transfer. */
  zoneRecordsMax: 10_000_000,
  zonesMax: 10_000,
  /** How often it is looked whether keys roll over and signatures end. */
  resignMs: 60_000,
} as const;
