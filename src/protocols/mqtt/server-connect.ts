// What a CONNECT shows of who it is from, what a client is told that was not let in, and the will. It checks nothing.
import { isUtf8, utf8 } from '../../bytes/reader.ts';
import type { Outcome } from '../../core/outcome.ts';
import type { Credentials, SignInRefusal } from '../../resources/accounts/contract.ts';
import type { Will } from '../../resources/topics/contract.ts';
import { CONNACK_CODES } from './outcomes.ts';
import { type ConnectRead, REASON } from './packets.ts';

export const REFUSED: Readonly<Record<SignInRefusal['refused'], readonly [code: number, reason: string]>> = {
  wrong: [REASON.badUserNameOrPassword, ''],
  locked: [REASON.quotaExceeded, 'too many sign-ins failed: try again later'],
  plaintext: [REASON.notAuthorized, 'a password in the clear over a network was not looked at: use TLS'],
  busy: [REASON.serverBusy, 'too many sign-ins are being checked: try again'],
};

/** The certificate of the connection, where nothing stronger is shown. */
export function certificateShown(
  { username, password }: ConnectRead,
  certificate: Uint8Array | null,
): Credentials | null {
  if (password !== null || certificate === null) return null;
  return { kind: 'certificate', certificate, ...(username === null ? {} : { account: username }) };
}

/** User name and password (MQTT 5.0 §3.1.3.5, §3.1.3.6); null when there is neither. One that is no text is nobody's. */
export function passwordShown({ username, password }: ConnectRead): Credentials | null {
  if (username === null && password === null) return null;
  const isText = password !== null && isUtf8(password, 0, password.length);
  const text = isText ? utf8(password, 0, password.length) : '';
  return { kind: 'password', account: username ?? '', password: text };
}

/** What became of an authentication method, but for a name that was not proven. */
export function methodRefused(outcome: Outcome): number {
  const code = CONNACK_CODES[outcome];
  return code === REASON.clientIdentifierNotValid ? REASON.notAuthorized : code;
}

/** The will of a CONNECT (MQTT 5.0 §3.1.3.2), which is the topics' to publish. */
export function willOf({ properties, topic, payload, qos, retain }: NonNullable<ConnectRead['will']>): Will {
  const publication = {
    topic,
    payload,
    contentType: properties.contentType ?? '',
    text: properties.payloadFormat === 1,
    properties: properties.user,
    responseTopic: properties.responseTopic ?? '',
    correlation: properties.correlation,
    retain,
    assurance: qos,
    ...(properties.messageExpiry < 0 ? {} : { expiryMs: properties.messageExpiry * 1_000 }),
  };
  return { publication, delayMs: Math.max(0, properties.willDelay) * 1_000 };
}
