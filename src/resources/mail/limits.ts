// Bounds of the mailboxes.

export const MAIL_LIMITS = {
  /** Of one message. */
  messageBytesMax: 50 * 1_024 * 1_024,
  /** Messages up to this stand beside their index; longer ones are blobs. */
  inlineBytesMax: 65_536,
  /** Folders of one mailbox. */
  foldersMax: 10_000,
  levelsMax: 32,
  nameBytesMax: 1_000,
  levelBytesMax: 255,
  /** Mailboxes that are made by mail that comes to them. */
  caughtMax: 100_000,
  /** An alias may lead to others so deep, and to so many. */
  aliasDepthMax: 10,
  aliasesMax: 1_000,
  /** Bytes of the indexes of folders that nobody has open. */
  idleIndexBytesMax: 32 * 1_024 * 1_024,
  /** Fields of headers that are held for listings. */
  listedBytesMax: 64 * 1_024 * 1_024,
  /** Answers that were made of messages, and messages themselves, that are held for the next who asks: each so much together. */
  heldBytesMax: 32 * 1_024 * 1_024,
  /** Of one of these; longer ones are read again. */
  heldEntryBytesMax: 32_768,
  /** Expunges of a folder that are remembered. */
  expungesKept: 1_000,
} as const;
