// The numbers of TLS 1.3 on the wire (RFC 8446 §4 and appendix B) and of its extensions.

/** TLS 1.3, as `supported_versions` names it. */
export const TLS_1_3 = 0x0304;
/** What every hello says that it speaks. */
export const LEGACY_VERSION = 0x0303;

// Messages of the handshake (RFC 8446 §4).
export const CLIENT_HELLO = 1;
export const SERVER_HELLO = 2;
export const NEW_SESSION_TICKET = 4;
export const ENCRYPTED_EXTENSIONS = 8;
export const CERTIFICATE = 11;
export const CERTIFICATE_REQUEST = 13;
export const CERTIFICATE_VERIFY = 15;
export const FINISHED = 20;
/** In place of the first ClientHello in the transcript, where another one follows (RFC 8446 §4.4.1). */
export const MESSAGE_HASH = 254;

// Extensions.
export const SERVER_NAME = 0;
export const SUPPORTED_GROUPS = 10;
export const SIGNATURE_ALGORITHMS = 13;
export const ALPN = 16;
export const PRE_SHARED_KEY = 41;
export const EARLY_DATA = 42;
export const SUPPORTED_VERSIONS = 43;
export const COOKIE = 44;
export const PSK_KEY_EXCHANGE_MODES = 45;
export const KEY_SHARE = 51;
export const QUIC_TRANSPORT_PARAMETERS = 57;

export const PSK_DHE_KE = 1;

/** A ServerHello whose random is this asks for another ClientHello (RFC 8446 §4.1.3). */
export const RETRY_RANDOM = Buffer.from('cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c', 'hex');

/** 0x?A?A, of which a client sends some so that servers stay used to what they do not know (RFC 8701). */
export function greaseOf(chance: number): number {
  const byte = ((chance & 0x0f) << 4) | 0x0a;
  return (byte << 8) | byte;
}
