// Packet protection as a connection uses it (RFC 9001, RFC 9369).
export { type Ciphers, PLAIN_CIPHERS } from './ciphers.ts';
export { initialProtection, type Role } from './initial.ts';
export { LevelProtection, type Wear } from './protection.ts';
export { checkRetry, sealRetry } from './retry.ts';
export { suiteOf } from './suites.ts';
export { AddressTokens, RESET_TOKEN_BYTES, ResetTokens, type TokenFacts, type TokenKind } from './tokens.ts';
