// What MQTT says for each outcome of a resource: the reason codes of 5.0, packet by packet since each allows its own set.
// What 3.1 and 3.1.1 say is made of them: a return code, 0x80 in SUBACK, and otherwise the end of the connection.
import {
  BUSY,
  DENIED,
  EXISTS,
  FAILED,
  FULL,
  GONE,
  INVALID,
  LATE,
  MISSING,
  OK,
  type OutcomeTable,
  STALE,
  UNKNOWN,
  UNSUPPORTED,
} from '../../core/outcome.ts';
import { REASON } from './packets.ts';

const {
  badUserNameOrPassword,
  clientIdentifierNotValid,
  implementationSpecific,
  noMatchingSubscribers,
  noSubscriptionExisted,
  notAuthorized,
  quotaExceeded,
  serverBusy,
  serverUnavailable,
  success,
  topicFilterInvalid,
  topicNameInvalid,
  unspecifiedError,
} = REASON;

/** CONNACK (MQTT 5.0 §3.2.2.2). */
export const CONNACK_CODES: OutcomeTable<number> = {
  [OK]: success,
  [DENIED]: notAuthorized,
  [UNKNOWN]: badUserNameOrPassword,
  [MISSING]: unspecifiedError,
  [EXISTS]: clientIdentifierNotValid,
  [INVALID]: clientIdentifierNotValid,
  [STALE]: unspecifiedError,
  [FULL]: quotaExceeded,
  [BUSY]: serverBusy,
  [LATE]: unspecifiedError,
  [GONE]: serverUnavailable,
  [UNSUPPORTED]: implementationSpecific,
  [FAILED]: unspecifiedError,
};

/** PUBACK and PUBREC (MQTT 5.0 §3.4.2.1, §3.5.2.1). */
export const PUBLISH_CODES: OutcomeTable<number> = {
  [OK]: success,
  [DENIED]: notAuthorized,
  [UNKNOWN]: notAuthorized,
  [MISSING]: noMatchingSubscribers,
  [EXISTS]: unspecifiedError,
  [INVALID]: topicNameInvalid,
  [STALE]: unspecifiedError,
  [FULL]: quotaExceeded,
  [BUSY]: quotaExceeded,
  [LATE]: unspecifiedError,
  [GONE]: unspecifiedError,
  [UNSUPPORTED]: implementationSpecific,
  [FAILED]: unspecifiedError,
};

/** SUBACK (MQTT 5.0 §3.9.3); OK stands for the QoS that is granted. */
export const SUBSCRIBE_CODES: OutcomeTable<number> = {
  [OK]: success,
  [DENIED]: notAuthorized,
  [UNKNOWN]: notAuthorized,
  [MISSING]: unspecifiedError,
  [EXISTS]: unspecifiedError,
  [INVALID]: topicFilterInvalid,
  [STALE]: unspecifiedError,
  [FULL]: quotaExceeded,
  [BUSY]: quotaExceeded,
  [LATE]: unspecifiedError,
  [GONE]: unspecifiedError,
  [UNSUPPORTED]: implementationSpecific,
  [FAILED]: unspecifiedError,
};

/** UNSUBACK (MQTT 5.0 §3.11.3). */
export const UNSUBSCRIBE_CODES: OutcomeTable<number> = {
  ...SUBSCRIBE_CODES,
  [MISSING]: noSubscriptionExisted,
  [FULL]: unspecifiedError,
  [BUSY]: unspecifiedError,
};

/** What a person reads beside a code; `''` where the code says it all. */
export const REASON_TEXTS: OutcomeTable<string> = {
  [OK]: '',
  [DENIED]: 'not allowed',
  [UNKNOWN]: 'sign in first',
  [MISSING]: '',
  [EXISTS]: 'it exists already',
  [INVALID]: '',
  [STALE]: 'it has changed meanwhile',
  [FULL]: 'a quota or the disk is full',
  [BUSY]: 'too much is waiting to be stored; try again',
  [LATE]: 'it took too long',
  [GONE]: 'the server is shutting down',
  [UNSUPPORTED]: 'not supported',
  [FAILED]: 'the server could not store it',
};
