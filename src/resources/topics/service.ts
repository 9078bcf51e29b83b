// The topics as a service: what REST, GraphQL, gRPC, SOAP, WebSocket and MQTT calls have of them, described once. It is the
// pattern for the other resources: definitions over the contract, outcomes as codes, a stream's queue bounded by the resource.
import { z } from 'zod';
import { OK, OUTCOME_NAMES, type Outcome, type Waiter } from '../../core/outcome.ts';
import { defineService, type ServiceDefinition } from '../services/define.ts';
import type { HandlerCall } from '../services/handler.ts';
import { OUTCOME_CODES, ServiceError } from '../services/status.ts';
import { bytes, empty, oneof } from '../services/zod-types.ts';
import type { Gap, History, Message, Publication, Topics } from './contract.ts';
import { TopicStream } from './topic-stream.ts';

const PAGE = 100;
const PAGE_MAX = 1_000;
/** Publications of one stream that are under way at once. */
const UNDER_WAY_MAX = 256;

const Property = z.object({ name: z.string(), value: z.string() });
const cursor = () => z.uint64().describe('Its place in the history, ever growing; 0 where the topic keeps none.');

const TopicMessage = z
  .object({
    topic: z.string(),
    payload: bytes(),
    contentType: z.string(),
    properties: z.array(Property),
    publisher: z.string().describe('The account that published it.'),
    time: z.date(),
    expiry: z.date().optional().describe('When it is of no more use.'),
    retain: z.boolean().describe('It was published to become the retained value.'),
    cursor: cursor(),
    responseTopic: z.string(),
    correlation: bytes().optional(),
  })
  .describe('One message, as every protocol has it.');

const HistoryGap = z
  .object({ after: z.uint64(), from: z.uint64().describe('The cursor of the first that follows; 0 for none.') })
  .describe('A part of the history that is not there any more.');

const NewMessage = z.object({
  topic: z.string().min(1),
  payload: bytes().optional().describe('Nothing clears a retained value.'),
  contentType: z.string().optional(),
  properties: z.array(Property).optional(),
  retain: z.boolean().optional().describe('It becomes the topic’s retained value, which new subscribers get first.'),
  expiresInSeconds: z.uint32().optional(),
  responseTopic: z.string().optional(),
  correlation: bytes().optional(),
});

const TopicRef = z.object({ topic: z.string().min(1) });

type MessageValue = z.input<typeof TopicMessage>;

const DETAILS: Readonly<Partial<Record<Outcome, string>>> = {
  1: 'a rule forbids it, or the topic is the server’s own',
  2: 'sign in first',
  5: 'that is not a topic, or not a filter of topics',
  7: 'a quota or the disk is full',
  8: 'the server has too much to do: try again',
};

function failed(outcome: Outcome): ServiceError {
  const code = OUTCOME_CODES[outcome];
  const text = DETAILS[outcome] ?? `the topics answered ${OUTCOME_NAMES[outcome]}`;
  return new ServiceError(code === 'OK' ? 'INTERNAL' : code, text);
}

/** Waits for what settles; rejects with the code of an outcome that is not OK. */
function settled(begin: (waiter: Waiter) => void): Promise<number> {
  return new Promise((resolve, reject) => {
    begin({
      settled: (_token, outcome, value) => (outcome === OK ? resolve(value) : reject(failed(outcome))),
    });
  });
}

export function messageValue(message: Message): MessageValue {
  const { properties, expiry } = message;
  const pairs: { name: string; value: string }[] = [];
  for (let at = 0; at < properties.length; at += 2) pairs.push({ name: properties[at]!, value: properties[at + 1]! });
  return {
    topic: message.topic,
    payload: message.payload,
    contentType: message.contentType,
    properties: pairs,
    publisher: message.publisher,
    time: new Date(message.time),
    ...(Number.isFinite(expiry) ? { expiry: new Date(expiry) } : {}),
    retain: message.retain,
    cursor: BigInt(message.cursor),
    responseTopic: message.responseTopic,
    ...(message.correlation === null ? {} : { correlation: message.correlation }),
  };
}

const gapValue = ({ after, from }: Gap) => ({ after: BigInt(after), from: BigInt(from) });

function publicationOf(given: z.output<typeof NewMessage>): Publication {
  const { topic, payload = new Uint8Array(0), contentType = '', properties, retain = false, expiresInSeconds } = given;
  return {
    topic,
    payload,
    contentType,
    retain,
    assurance: 1,
    ...(properties === undefined ? {} : { properties: properties.flatMap(({ name, value }) => [name, value]) }),
    ...(expiresInSeconds === undefined ? {} : { expiryMs: expiresInSeconds * 1_000 }),
    ...(given.responseTopic === undefined ? {} : { responseTopic: given.responseTopic }),
    ...(given.correlation === undefined ? {} : { correlation: given.correlation }),
  };
}

/** `portico.v1.Topics` over these topics. */
export function topicsService(topics: Topics): ServiceDefinition {
  return defineService({
    name: 'portico.v1.Topics',
    description: 'Messages on topics: what every protocol publishes and hears.',
    types: { TopicMessage, HistoryGap, NewMessage, Property, TopicRef },
    methods: { ...publishing(topics), ...reading(topics), Subscribe: subscribing(topics) },
  }) as unknown as ServiceDefinition;
}

function publishing(topics: Topics) {
  const publish = (given: z.output<typeof NewMessage>, { caller }: HandlerCall) =>
    settled((waiter) => topics.publish(caller, publicationOf(given), waiter, 0));
  const output = z.object({ cursor: cursor() });
  return {
    Publish: {
      description: 'Publishes a message. Answers once all that must last of it is stored.',
      input: NewMessage,
      output,
      handler: async (given: z.output<typeof NewMessage>, call: HandlerCall) => ({
        cursor: BigInt(await publish(given, call)),
      }),
    },
    PublishMany: {
      description: 'Publishes a stream of messages, several under way at once. Ends with the first that is refused.',
      kind: 'client' as const,
      input: NewMessage,
      output: z.object({ published: z.uint32(), cursor: cursor() }),
      handler: async (inputs: AsyncIterable<z.output<typeof NewMessage>>, call: HandlerCall) => {
        let published = 0;
        let last = 0;
        const underWay = new Set<Promise<void>>();
        for await (const given of inputs) {
          const one: Promise<void> = publish(given, call).then((at) => {
            published++;
            last = Math.max(last, at);
            underWay.delete(one);
          });
          underWay.add(one);
          if (underWay.size >= UNDER_WAY_MAX) await Promise.race(underWay);
        }
        await Promise.all(underWay);
        return { published, cursor: BigInt(last) };
      },
    },
    Delete: {
      description: 'Clears the retained value of a topic.',
      idempotency: 'idempotent' as const,
      input: TopicRef,
      output: empty,
      handler: async ({ topic }: z.output<typeof TopicRef>, call: HandlerCall) => {
        await publish({ topic, retain: true }, call);
        return {};
      },
    },
  };
}

const ReadRequest = z.object({
  filter: z.string().min(1),
  after: z.uint64().optional().describe('Begins behind this cursor; 0 is all that there is.'),
  most: z.uint32().min(1).max(PAGE_MAX).optional(),
});

function reading(topics: Topics) {
  return {
    Get: {
      description: 'The retained value of a topic.',
      idempotency: 'safe' as const,
      input: TopicRef,
      output: TopicMessage,
      handler: ({ topic }: z.output<typeof TopicRef>, { caller }: HandlerCall) => {
        const found = topics.retained(caller, topic);
        if (typeof found === 'number') throw failed(found);
        if (found === null) throw new ServiceError('NOT_FOUND', `nothing is retained on ${topic}`);
        return messageValue(found);
      },
    },
    Read: {
      description: 'A page of the history of a filter, oldest first; go on behind the cursor that it answers.',
      idempotency: 'safe' as const,
      input: ReadRequest,
      output: z.object({ messages: z.array(TopicMessage), cursor: cursor(), gap: HistoryGap.optional() }),
      handler: async ({ filter, after = 0n, most = PAGE }: z.output<typeof ReadRequest>, { caller }: HandlerCall) => {
        const page: History | Outcome = await topics.history(caller, filter, Number(after), most);
        if (typeof page === 'number') throw failed(page);
        return {
          messages: page.messages.map(messageValue),
          cursor: BigInt(page.cursor),
          ...(page.gap === null ? {} : { gap: gapValue(page.gap) }),
        };
      },
    },
  };
}

const SubscribeRequest = z.object({
  filter: z.string().min(1).describe('Levels joined by `/`; `+` is one level, `#` all that follow.'),
  after: z.uint64().optional(),
  skipRetained: z.boolean().optional(),
});

function subscribing(topics: Topics) {
  return {
    description:
      'What is published on a filter, from now on or behind a cursor, after the retained values. A gap says what is not there.',
    kind: 'server' as const,
    idempotency: 'safe' as const,
    input: SubscribeRequest,
    output: z.object({
      ...oneof('event', { message: TopicMessage, gap: HistoryGap }),
      retained: z.boolean().describe('It is the retained value, not news.'),
    }),
    handler: async function* (
      { filter, after, skipRetained = false }: z.output<typeof SubscribeRequest>,
      { caller, signal }: HandlerCall,
    ) {
      const stream = new TopicStream(topics, caller, signal);
      try {
        const outcome = await stream.subscribe({
          filter,
          assurance: 0,
          retained: skipRetained || after !== undefined ? 'never' : 'always',
          ...(after === undefined ? {} : { after: Number(after) }),
        });
        if (outcome !== OK) throw failed(outcome);
        for await (const event of stream)
          yield 'gap' in event
            ? { gap: gapValue(event.gap), retained: false }
            : { message: messageValue(event.message), retained: event.match.retain };
        if (stream.isTooSlow) throw new ServiceError('RESOURCE_EXHAUSTED', 'messages were not taken fast enough');
      } finally {
        stream.end();
      }
    },
  };
}
