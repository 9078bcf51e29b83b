// The commands that are known, and in which state each may come (RFC 9051 §3).

/** In any state. */
export const ANYBODY = 1;
/** Before anybody has signed in. */
export const STRANGER = 2;
export const SIGNED = 4;
export const SELECTED = 8;
/** No expunge is told while it is answered (RFC 9051 §7.5.1). */
export const HOLDS_EXPUNGES = 16;
/** `UID` may stand before it. */
export const BY_UID = 32;

const table: Record<string, number> = {
  CAPABILITY: ANYBODY,
  NOOP: ANYBODY,
  LOGOUT: ANYBODY,
  ID: ANYBODY,
  STARTTLS: STRANGER,
  AUTHENTICATE: STRANGER,
  LOGIN: STRANGER,
  ENABLE: SIGNED,
  COMPRESS: SIGNED,
  SELECT: SIGNED,
  EXAMINE: SIGNED,
  CREATE: SIGNED,
  DELETE: SIGNED,
  RENAME: SIGNED,
  SUBSCRIBE: SIGNED,
  UNSUBSCRIBE: SIGNED,
  LIST: SIGNED,
  LSUB: SIGNED,
  NAMESPACE: SIGNED,
  STATUS: SIGNED,
  APPEND: SIGNED,
  IDLE: SIGNED,
  GETQUOTA: SIGNED,
  GETQUOTAROOT: SIGNED,
  SETQUOTA: SIGNED,
  CHECK: SELECTED,
  CLOSE: SELECTED,
  UNSELECT: SELECTED,
  EXPUNGE: SELECTED | BY_UID,
  SEARCH: SELECTED | HOLDS_EXPUNGES | BY_UID,
  SORT: SELECTED | HOLDS_EXPUNGES | BY_UID,
  THREAD: SELECTED | HOLDS_EXPUNGES | BY_UID,
  FETCH: SELECTED | HOLDS_EXPUNGES | BY_UID,
  STORE: SELECTED | HOLDS_EXPUNGES | BY_UID,
  COPY: SELECTED | BY_UID,
  MOVE: SELECTED | BY_UID,
};

export const COMMANDS: ReadonlyMap<string, number> = new Map(Object.entries(table));
