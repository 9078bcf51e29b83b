// Every way in which a peer can break gRPC, gRPC-Web and Connect. The wire code is that of the status which ends the call.
import { faultTable } from '../../core/fault.ts';

const HTTP2 = 'PROTOCOL-HTTP2.md';
const CODES = 'statuscodes.md';
const CONNECT = 'Connect Protocol';

export const CANCELLED = 1;
const INVALID_ARGUMENT = 3;
const DEADLINE_EXCEEDED = 4;
const RESOURCE_EXHAUSTED = 8;
const UNIMPLEMENTED = 12;
const INTERNAL = 13;
const UNAVAILABLE = 14;
const UNAUTHENTICATED = 16;

const scope = 'stream' as const;

export const faults = faultTable('grpc', {
  noMethod: { wire: UNIMPLEMENTED, spec: CODES, text: 'There is no such method.', scope },
  badMessage: { wire: INVALID_ARGUMENT, spec: 'Protocol Buffers Encoding', text: 'A message cannot be read.', scope },
  badFlags: { wire: INTERNAL, spec: `${HTTP2} §Requests`, text: 'A message has flags that nobody knows.', scope },
  cut: { wire: INTERNAL, spec: `${HTTP2} §Requests`, text: 'The request ends in the middle of a message.', scope },
  tooLong: {
    wire: RESOURCE_EXHAUSTED,
    spec: CODES,
    text: 'A message is longer than this server takes.',
    scope,
  },
  answerTooLong: {
    wire: RESOURCE_EXHAUSTED,
    spec: CODES,
    text: 'The answer is longer than this server sends.',
    scope,
  },
  noMessage: { wire: UNIMPLEMENTED, spec: CODES, text: 'This method takes one message, and there was none.', scope },
  twoMessages: { wire: UNIMPLEMENTED, spec: CODES, text: 'This method takes one message, and there were more.', scope },
  coding: {
    wire: UNIMPLEMENTED,
    spec: 'compression.md',
    text: 'The compression is none that this server knows.',
    scope,
  },
  uncoded: {
    wire: INTERNAL,
    spec: 'compression.md',
    text: 'A message is compressed, and the request does not say how.',
    scope,
  },
  corrupt: { wire: INTERNAL, spec: 'compression.md', text: 'A compressed message is broken.', scope },
  timeout: { wire: INVALID_ARGUMENT, spec: `${HTTP2} §Requests`, text: 'The timeout is no timeout.', scope },
  late: { wire: DEADLINE_EXCEEDED, spec: CODES, text: 'The deadline has passed.', scope },
  base64: { wire: INTERNAL, spec: 'PROTOCOL-WEB.md', text: 'The body is not base64.', scope },
  textStreams: {
    wire: UNIMPLEMENTED,
    spec: 'PROTOCOL-WEB.md',
    text: 'As base64 only one message can be sent: call it with application/grpc-web+proto.',
    scope,
  },
  version: { wire: INVALID_ARGUMENT, spec: CONNECT, text: 'Only version 1 of the Connect protocol is spoken.', scope },
  query: { wire: INVALID_ARGUMENT, spec: CONNECT, text: 'The query of a GET says no message that can be read.', scope },
  getUnsafe: {
    wire: UNIMPLEMENTED,
    spec: `${CONNECT} §Unary-Get-Request`,
    text: 'This method may change something: it is called with POST.',
    scope,
  },
  streamsOnly: {
    wire: UNIMPLEMENTED,
    spec: CONNECT,
    text: 'This method is no unary one: call it with application/connect+proto or application/connect+json.',
    scope,
  },
  unaryOnly: {
    wire: UNIMPLEMENTED,
    spec: CONNECT,
    text: 'This method is a unary one: call it with application/proto or application/json.',
    scope,
  },
  leaving: { wire: UNAVAILABLE, spec: CODES, text: 'The server is leaving.', scope },
  revoked: { wire: UNAUTHENTICATED, spec: CODES, text: 'Whoever called may not any more.', scope },
  bug: { wire: INTERNAL, spec: CODES, text: 'The server has a bug; it is in its log.', scope },
  lookUps: {
    wire: RESOURCE_EXHAUSTED,
    spec: CODES,
    text: 'There are as many who watch as there may be.',
    scope,
  },
});
