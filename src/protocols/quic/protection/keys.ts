// Keys of packets out of secrets of TLS, for each version of QUIC (RFC 9001 §5.1, §5.2; RFC 9369 §3.3).
import { VERSION_2, type Version } from '../crypto.ts';
import { expandLabel, hkdfExtract } from './labels.ts';
import { INITIAL_SUITE, type Suite } from './suites.ts';

/** RFC 9001 §5.2. */
const SALT_1 = Buffer.from('38762cf7f55934b34d179ae6a4c80cadccbb7f0a', 'hex');
/** RFC 9369 §3.3.1. */
const SALT_2 = Buffer.from('0dede3def700a6db819381be6e269dcbf9bd2ed9', 'hex');

export interface PacketKeys {
  readonly key: Uint8Array;
  readonly iv: Uint8Array;
}

function prefix(version: Version): string {
  return version === VERSION_2 ? 'quicv2' : 'quic';
}

export function packetKeys(version: Version, suite: Suite, secret: Uint8Array): PacketKeys {
  const label = prefix(version);
  return {
    key: expandLabel(suite.hash, secret, `${label} key`, suite.keyBytes),
    iv: expandLabel(suite.hash, secret, `${label} iv`, 12),
  };
}

export function headerKey(version: Version, suite: Suite, secret: Uint8Array): Buffer {
  return expandLabel(suite.hash, secret, `${prefix(version)} hp`, suite.keyBytes);
}

/** The secret that keys are updated to (RFC 9001 §6.1). */
export function nextSecret(version: Version, suite: Suite, secret: Uint8Array): Buffer {
  return expandLabel(suite.hash, secret, `${prefix(version)} ku`, suite.hashBytes);
}

export interface InitialSecrets {
  readonly client: Buffer;
  readonly server: Buffer;
}

/** @param connectionId the Destination Connection ID of the client's first Initial packet */
export function initialSecrets(version: Version, connectionId: Uint8Array): InitialSecrets {
  const { hash } = INITIAL_SUITE;
  const initial = hkdfExtract(hash, version === VERSION_2 ? SALT_2 : SALT_1, connectionId);
  return {
    client: expandLabel(hash, initial, 'client in', 32),
    server: expandLabel(hash, initial, 'server in', 32),
  };
}
