// The topics in the schema: types and fields for publishing, subscribing, what is retained and what was. What they do is the
// server half's.
import {
  type GraphQLArgumentConfig,
  GraphQLBoolean,
  GraphQLEnumType,
  type GraphQLFieldConfig,
  GraphQLInputObjectType,
  GraphQLInt,
  GraphQLList,
  GraphQLNonNull,
  GraphQLObjectType,
  GraphQLString,
} from 'graphql';
import { BASE64_SCALAR, INT64_SCALAR, JSON_SCALAR, MOMENT_SCALAR } from './scalars.ts';

export type TopicVerb = 'publish' | 'unretain' | 'retained' | 'history' | 'topic';

const text = new GraphQLNonNull(GraphQLString);
const yes = new GraphQLNonNull(GraphQLBoolean);

const PROPERTY = new GraphQLObjectType({
  name: 'TopicProperty',
  fields: { name: { type: text }, value: { type: text } },
});

const PROPERTY_INPUT = new GraphQLInputObjectType({
  name: 'TopicPropertyInput',
  fields: { name: { type: text }, value: { type: text } },
});

const GAP = new GraphQLObjectType({
  name: 'TopicGap',
  description: 'A part of the history that is not there any more.',
  fields: {
    after: { type: new GraphQLNonNull(INT64_SCALAR), description: 'What was asked for begins behind this cursor.' },
    from: { type: INT64_SCALAR, description: 'The cursor of the first that follows; null when there is none.' },
  },
});

const MESSAGE = new GraphQLObjectType({
  name: 'TopicMessage',
  fields: {
    topic: { type: text, description: 'The topic; in a gap, the filter.' },
    payload: { type: GraphQLString, description: 'The payload where it is text, else null.' },
    json: { type: JSON_SCALAR, description: 'The payload where it is JSON, else null.' },
    base64: { type: BASE64_SCALAR, description: 'The payload as it is.' },
    contentType: { type: GraphQLString },
    properties: { type: new GraphQLNonNull(new GraphQLList(new GraphQLNonNull(PROPERTY))) },
    responseTopic: { type: GraphQLString, description: 'Where an answer is wanted.' },
    correlation: { type: BASE64_SCALAR, description: 'What such an answer carries.' },
    publisher: { type: GraphQLString, description: 'The account that published it.' },
    time: { type: MOMENT_SCALAR },
    expiry: { type: MOMENT_SCALAR, description: 'When it is of no more use; null for never.' },
    retained: { type: yes, description: 'It stood there before you came.' },
    cursor: { type: INT64_SCALAR, description: 'Its place in the history; null where the topic keeps none.' },
    gap: { type: GAP, description: 'No message, but what could not be given of the history.' },
  },
});

const PUBLISHED = new GraphQLObjectType({
  name: 'Published',
  fields: { cursor: { type: INT64_SCALAR, description: 'Its place in the history; null where the topic keeps none.' } },
});

const HISTORY = new GraphQLObjectType({
  name: 'TopicHistory',
  fields: {
    messages: { type: new GraphQLNonNull(new GraphQLList(new GraphQLNonNull(MESSAGE))) },
    cursor: { type: new GraphQLNonNull(INT64_SCALAR), description: 'Go on from here.' },
    gap: { type: GAP },
  },
});

const SLOW = new GraphQLEnumType({
  name: 'SlowPolicy',
  description: 'What is done when you do not keep up.',
  values: {
    DISCONNECT: { value: 'disconnect' },
    DROP_OLDEST: { value: 'drop-oldest' },
    KEEP_LATEST: { value: 'keep-latest' },
  },
});

const TOPIC_ARGUMENT: GraphQLArgumentConfig = { type: text, description: 'Levels joined by /.' };
const FILTER_ARGUMENT: GraphQLArgumentConfig = { type: text, description: 'A topic, with + and # for whole levels.' };

type Fields = Readonly<Record<string, GraphQLFieldConfig<unknown, unknown> & { readonly verb: TopicVerb }>>;

export const TOPIC_QUERIES: Fields = {
  retained: {
    verb: 'retained',
    type: MESSAGE,
    description: 'The value that is retained on a topic.',
    args: { topic: TOPIC_ARGUMENT },
  },
  history: {
    verb: 'history',
    type: HISTORY,
    description: 'A page of what was published.',
    args: {
      filter: FILTER_ARGUMENT,
      after: { type: INT64_SCALAR, description: 'Behind this cursor; from the beginning when absent.' },
      first: { type: GraphQLInt, description: 'At most so many.', defaultValue: 100 },
    },
  },
};

export const TOPIC_MUTATIONS: Fields = {
  publish: {
    verb: 'publish',
    type: PUBLISHED,
    description: 'Publishes a message; answered once it is committed.',
    args: {
      topic: TOPIC_ARGUMENT,
      payload: { type: GraphQLString, description: 'Text; one of payload, json and base64.' },
      json: { type: JSON_SCALAR, description: 'A value that is sent as JSON.' },
      base64: { type: BASE64_SCALAR, description: 'Bytes.' },
      contentType: { type: GraphQLString },
      properties: { type: new GraphQLList(new GraphQLNonNull(PROPERTY_INPUT)) },
      retain: { type: GraphQLBoolean, description: 'It becomes the retained value.', defaultValue: false },
      responseTopic: { type: GraphQLString, description: 'Where an answer is wanted.' },
      correlation: { type: BASE64_SCALAR, description: 'What such an answer carries.' },
      expiresIn: { type: GraphQLInt, description: 'How long it is of use, in seconds.' },
    },
  },
  unretain: {
    verb: 'unretain',
    type: PUBLISHED,
    description: 'Takes the retained value of a topic away.',
    args: { topic: TOPIC_ARGUMENT },
  },
};

export const TOPIC_SUBSCRIPTIONS: Fields = {
  topic: {
    verb: 'topic',
    type: MESSAGE,
    description: 'What is published, after what is retained; with a cursor, after what was missed.',
    args: {
      filter: FILTER_ARGUMENT,
      after: { type: INT64_SCALAR, description: 'Go on behind this cursor.' },
      retained: { type: GraphQLBoolean, description: 'Begin with what is retained; yes unless after is given.' },
      slow: { type: SLOW, defaultValue: 'disconnect' },
    },
  },
};

/** Names of types that no service can have. */
export const TOPIC_TYPES: readonly string[] = [PROPERTY, PROPERTY_INPUT, GAP, MESSAGE, PUBLISHED, HISTORY, SLOW].map(
  ({ name }) => name,
);
