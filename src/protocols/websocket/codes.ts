// Close codes (RFC 6455 §7.4, and IANA's registry): which may be sent, and their names.

export const NORMAL = 1000;
export const GOING_AWAY = 1001;
/** Never on the wire: a close frame without a code. */
export const NO_CODE = 1005;
/** Never on the wire: the connection was lost without a close frame. */
export const ABNORMAL = 1006;

export const CODE_NAMES: Readonly<Record<number, string>> = {
  1000: 'normal closure',
  1001: 'going away',
  1002: 'protocol error',
  1003: 'unsupported data',
  1004: 'reserved',
  1005: 'no code',
  1006: 'abnormal closure',
  1007: 'invalid data',
  1008: 'policy violation',
  1009: 'message too big',
  1010: 'mandatory extension',
  1011: 'internal error',
  1012: 'service restart',
  1013: 'try again later',
  1014: 'bad gateway',
  1015: 'TLS handshake',
};

/** Whether a close frame may have this code: registered and not for local use only, or of the two free ranges. */
export function mayBeSent(code: number): boolean {
  if (code >= 3000) return code <= 4999;
  return code >= 1000 && code <= 1014 && (code < 1004 || code > 1006);
}

export function codeName(code: number): string {
  if (code >= 4000 && code <= 4999) return 'private';
  if (code >= 3000 && code <= 3999) return 'of a library';
  return CODE_NAMES[code] ?? 'not a code';
}
