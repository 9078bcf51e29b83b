// Every way in which a client can break GraphQL here. Over HTTP the wire code is the status, on a socket the close code;
// those of a document (0) are answered as errors of the request, with the code BAD_USER_INPUT.
import { faultTable } from '../../core/fault.ts';

const OVER_HTTP = 'GraphQL over HTTP';
const SOCKET = 'graphql-transport-ws';
const LIMITS = 'docs/graphql.md §Limits';

export const faults = faultTable('graphql', {
  methodUnknown: {
    wire: 405,
    spec: `${OVER_HTTP} §5`,
    text: 'GraphQL is asked with GET or POST.',
    scope: 'stream',
  },
  mutationByGet: {
    wire: 405,
    spec: `${OVER_HTTP} §5.1`,
    text: 'GET changes nothing: send a mutation with POST.',
    scope: 'stream',
  },
  mediaTypeUnknown: {
    wire: 415,
    spec: `${OVER_HTTP} §5.4`,
    text: 'The body of a request is application/json, or multipart/form-data with files.',
    scope: 'stream',
  },
  notAcceptable: {
    wire: 406,
    spec: `${OVER_HTTP} §6`,
    text: 'Answers are application/graphql-response+json, application/json or text/event-stream.',
    scope: 'stream',
  },
  notJson: { wire: 400, spec: `${OVER_HTTP} §5.4`, text: 'The body is not JSON in UTF-8.', scope: 'stream' },
  badParameters: { wire: 400, spec: `${OVER_HTTP} §5`, text: 'A parameter of the request is wrong.', scope: 'stream' },
  badMultipart: {
    wire: 400,
    spec: 'GraphQL multipart request',
    text: 'The parts of the body are not operations, map and files, in this order.',
    scope: 'stream',
  },
  filesTooMany: { wire: 413, spec: LIMITS, text: 'These are more files than a request may have.', scope: 'stream' },
  subscriptionPlain: {
    wire: 400,
    spec: 'docs/graphql.md §Subscriptions',
    text: 'A subscription is asked for with Accept: text/event-stream, or over a WebSocket.',
    scope: 'stream',
  },
  streamUnknown: {
    wire: 404,
    spec: 'GraphQL over SSE',
    text: 'There is no stream with this token: reserve one with PUT.',
    scope: 'stream',
  },
  streamTaken: { wire: 409, spec: 'GraphQL over SSE', text: 'This stream is open already.', scope: 'stream' },
  operationTaken: {
    wire: 409,
    spec: 'GraphQL over SSE',
    text: 'An operation with this id is under way.',
    scope: 'stream',
  },
  streamsTooMany: { wire: 503, spec: LIMITS, text: 'As many streams as may be are open.', scope: 'stream' },
  operationsTooMany: { wire: 429, spec: LIMITS, text: 'As many operations as may be are under way.', scope: 'stream' },

  syntax: { wire: 0, spec: 'GraphQL §2', text: 'The document cannot be read.', scope: 'stream' },
  tokensTooMany: { wire: 0, spec: LIMITS, text: 'The document has more tokens than are read.', scope: 'stream' },
  tooLong: { wire: 0, spec: LIMITS, text: 'The document is longer than is read.', scope: 'stream' },
  tooDeep: { wire: 0, spec: LIMITS, text: 'The selections are nested deeper than is allowed.', scope: 'stream' },
  aliasesTooMany: { wire: 0, spec: LIMITS, text: 'These are more aliases than are allowed.', scope: 'stream' },
  fieldsTooMany: { wire: 0, spec: LIMITS, text: 'These are more fields than are allowed.', scope: 'stream' },
  rootsTooMany: { wire: 0, spec: LIMITS, text: 'One operation makes more calls than are allowed.', scope: 'stream' },
  tooCostly: { wire: 0, spec: LIMITS, text: 'The operation may cost more than is allowed.', scope: 'stream' },
  directivesTooMany: { wire: 0, spec: LIMITS, text: 'These are more directives than are allowed.', scope: 'stream' },
  fragmentCycle: {
    wire: 0,
    spec: 'GraphQL §5.5.2.2',
    text: 'A fragment contains itself.',
    scope: 'stream',
  },
  documentUnknown: {
    wire: 0,
    spec: 'docs/graphql.md §Persisted documents',
    text: 'PersistedQueryNotFound',
    scope: 'stream',
  },

  badMessage: { wire: 4400, spec: `${SOCKET} §Invalid message`, text: 'this is not a message of graphql-transport-ws' },
  binary: { wire: 4400, spec: `${SOCKET} §Invalid message`, text: 'messages are text frames' },
  unauthorized: { wire: 4401, spec: `${SOCKET} §ConnectionInit`, text: 'Unauthorized' },
  forbidden: { wire: 4403, spec: `${SOCKET} §ConnectionInit`, text: 'Forbidden' },
  initLate: { wire: 4408, spec: `${SOCKET} §ConnectionInit`, text: 'Connection initialisation timeout' },
  operationRepeated: { wire: 4409, spec: `${SOCKET} §Subscribe`, text: 'Subscriber for the id already exists' },
  initRepeated: { wire: 4429, spec: `${SOCKET} §ConnectionInit`, text: 'Too many initialisation requests' },
  messageTooLong: { wire: 1009, spec: LIMITS, text: 'the message is too long' },
  socketOperationsTooMany: { wire: 4499, spec: LIMITS, text: 'more operations than a socket may have' },
  silent: { wire: 4499, spec: 'docs/graphql.md §WebSocket', text: 'no pong came' },
  tooSlow: { wire: 0, spec: 'docs/graphql.md §Slow subscribers', text: 'messages were not taken fast enough' },
});
