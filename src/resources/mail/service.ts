// Mail as a service: what REST, GraphQL, gRPC, SOAP, WebSocket and MQTT calls have of it, under mail's own rules. For programs that
// test what mails: send, wait for what comes, read it as parts.
import { z } from 'zod';
import { MISSING, OK } from '../../core/outcome.ts';
import type { Entropy } from '../../core/time.ts';
import { decodedPart, nameOfPart } from '../../formats/mime/parsed.ts';
import { partAt, readStructure } from '../../formats/mime/structure.ts';
import { defineService, type ServiceDefinition } from '../services/define.ts';
import type { HandlerCall } from '../services/handler.ts';
import { ServiceError } from '../services/status.ts';
import { bytes, empty } from '../services/zod-types.ts';
import type { Topics } from '../topics/contract.ts';
import { TopicStream } from '../topics/topic-stream.ts';
import { DELETED, type Mail, type MailEvent } from './contract.ts';
import { INBOX } from './names.ts';
import { MailSearch, summaryAt, within } from './service-reading.ts';
import { sendMail } from './service-sending.ts';
import {
  bitsOf,
  done,
  failed,
  given,
  MailAttachment,
  MailFlagName,
  MailMessage,
  MailPerson,
  MailSummary,
  messageValue,
  summaryValue,
} from './service-values.ts';

const PAGE = 50;
const PAGE_MAX = 500;
const WAIT_SECONDS = 10;
const WAIT_SECONDS_MAX = 300;

export interface MailServiceParts {
  readonly mail: Mail;
  /** Where the events of mail are heard. */
  readonly topics: Topics;
  readonly entropy: Entropy;
  /** Milliseconds since 1970. */
  readonly wall: () => number;
}

const mailbox = () => z.string().optional().describe('An address; the caller’s own when absent.');
const folder = () => z.string().default(INBOX);

/** `portico.v1.Mail` over this mail. */
export function mailService(parts: MailServiceParts): ServiceDefinition {
  const methods = { ...looking(parts), ...reading(parts), ...changing(parts), ...coming(parts) };
  return defineService({
    name: 'portico.v1.Mail',
    description: 'The mailboxes that SMTP fills and POP3 reads.',
    types: named(methods),
    methods,
  }) as unknown as ServiceDefinition;
}

/** The names of all types: those of the package's other services are theirs. */
function named(methods: Readonly<Record<string, { readonly input: z.ZodType; readonly output: z.ZodType }>>) {
  const types: Record<string, z.ZodType> = {
    MailPerson,
    MailFlagName,
    MailAttachment,
    MailSummary,
    MailMessage,
    MailFolder,
    MailEnclosure,
  };
  const known = new Set<z.ZodType>([...Object.values(types), empty]);
  for (const [name, { input, output }] of Object.entries(methods)) {
    if (!known.has(input)) types[`Mail${name}Request`] = input;
    if (!known.has(output)) types[`Mail${name}Response`] = output;
    known.add(input).add(output);
  }
  return types;
}

const MailFolder = z.object({
  name: z.string(),
  use: z.string().describe('`inbox`, `drafts`, `sent`, `junk`, `trash`, `archive`, or nothing.'),
  messages: z.uint32(),
  unseen: z.uint32(),
  bytes: z.uint64(),
});

const MailEnclosure = z.object({ name: z.string(), type: z.string(), content: bytes() });

const PageRequest = z.object({
  mailbox: mailbox(),
  folder: folder(),
  before: z.uint32().optional().describe('Only mails with a UID below this.'),
  most: z.uint32().min(1).max(PAGE_MAX).optional(),
});

const SearchRequest = PageRequest.extend({
  from: z.string().optional().describe('What the sender’s name or address holds; case does not matter.'),
  to: z.string().optional(),
  subject: z.string().optional(),
  text: z.string().optional().describe('What the text or the HTML holds.'),
  unseen: z.boolean().optional(),
});

const Page = z.object({
  messages: z.array(MailSummary).describe('The newest first.'),
  next: z.uint32().describe('Go on before this UID; 0 at the end.'),
});

function looking({ mail }: MailServiceParts) {
  return {
    ListMailboxes: {
      description: 'Mailboxes that the caller may read, by name.',
      idempotency: 'safe' as const,
      input: z.object({ after: z.string().optional(), most: z.uint32().min(1).max(PAGE_MAX).optional() }),
      output: z.object({ mailboxes: z.array(z.string()) }),
      handler: (asked: { after?: string | undefined; most?: number | undefined }, { caller }: HandlerCall) => ({
        mailboxes: [...mail.list(caller, asked.after ?? '', asked.most ?? PAGE)],
      }),
    },
    ListFolders: {
      description: 'The folders of a mailbox, with how much is in them.',
      idempotency: 'safe' as const,
      input: z.object({ mailbox: mailbox() }),
      output: z.object({ folders: z.array(MailFolder) }),
      handler: async (asked: { mailbox?: string | undefined }, { caller }: HandlerCall) => {
        const box = given(await mail.open(caller, asked.mailbox ?? mail.own(caller)));
        const folders: z.input<typeof MailFolder>[] = [];
        for (const { name, use } of box.folders())
          await within(mail, caller, { mailbox: box.name, folder: name }, (found) => {
            const { count: messages, unseen, bytes } = found;
            folders.push({ name, use, messages, unseen, bytes: BigInt(bytes) });
          });
        return { folders };
      },
    },
    List: {
      description: 'Mails of a folder, the newest first.',
      idempotency: 'safe' as const,
      input: PageRequest,
      output: Page,
      handler: (asked: z.output<typeof PageRequest>, call: HandlerCall) => page(mail, asked, call),
    },
    Search: {
      description: 'Mails of a folder that hold all that is asked for, the newest first.',
      idempotency: 'safe' as const,
      input: SearchRequest,
      output: Page,
      handler: (asked: z.output<typeof SearchRequest>, call: HandlerCall) => page(mail, asked, call),
    },
  };
}

/** A page of what fits. */
function page(mail: Mail, asked: z.output<typeof SearchRequest>, { caller, signal }: HandlerCall) {
  const search = new MailSearch(asked);
  return within(mail, caller, asked, async (open) => {
    const { before = Number.POSITIVE_INFINITY, most = PAGE } = asked;
    const uids = [...open.uids.subarray(0, open.count)].reverse().filter((uid) => uid < before);
    const messages: z.input<typeof MailSummary>[] = [];
    let next = 0;
    for (const uid of uids) {
      if (signal.aborted) break;
      if (messages.length >= most) {
        next = messages.at(-1)!.uid;
        break;
      }
      const summary = await summaryAt(open, uid);
      if (summary !== null && (await search.fits(open, summary))) messages.push(summaryValue(summary));
    }
    return { messages, next };
  });
}

const MessageRef = z.object({ mailbox: mailbox(), folder: folder(), uid: z.uint32().min(1) });

function reading({ mail }: MailServiceParts) {
  const whole = (asked: z.output<typeof MessageRef>, { caller }: HandlerCall) =>
    within(mail, caller, asked, async (open) => {
      const summary = await summaryAt(open, asked.uid);
      const bytes = summary === null ? null : await open.whole(asked.uid);
      if (summary === null || bytes === null) throw failed(MISSING);
      return { summary, bytes };
    });
  return {
    Read: {
      description: 'A mail, taken apart: people, text, HTML, and what is attached.',
      idempotency: 'safe' as const,
      input: MessageRef,
      output: MailMessage,
      handler: async (asked: z.output<typeof MessageRef>, call: HandlerCall) => {
        const { summary, bytes } = await whole(asked, call);
        return messageValue(summary, bytes);
      },
    },
    ReadRaw: {
      description: 'A mail as it is kept.',
      idempotency: 'safe' as const,
      input: MessageRef,
      output: z.object({ content: bytes() }),
      handler: async (asked: z.output<typeof MessageRef>, call: HandlerCall) => ({
        content: (await whole(asked, call)).bytes,
      }),
    },
    ReadAttachment: {
      description: 'A part of a mail, decoded.',
      idempotency: 'safe' as const,
      input: MessageRef.extend({
        section: z
          .string()
          .regex(/^\d{1,4}(?:\.\d{1,4}){0,50}$/)
          .describe('As `Read` tells it.'),
      }),
      output: MailEnclosure,
      handler: async (asked: z.output<typeof MessageRef> & { section: string }, call: HandlerCall) => {
        const { bytes } = await whole(asked, call);
        const part = partAt(readStructure(bytes, 0, bytes.length), asked.section.split('.').map(Number));
        if (part === null) throw failed(MISSING);
        return { name: nameOfPart(part), type: `${part.type}/${part.subtype}`, content: decodedPart(bytes, part) };
      },
    },
  };
}

const FlagRequest = z.object({
  mailbox: mailbox(),
  folder: folder(),
  uids: z.array(z.uint32().min(1)).min(1).max(10_000),
  add: z.array(MailFlagName).default([]),
  remove: z.array(MailFlagName).default([]),
});

const DeleteRequest = z.object({
  mailbox: mailbox(),
  folder: folder(),
  uids: z.array(z.uint32().min(1)).max(10_000).describe('All of the folder when there are none.').default([]),
});

const SendRequest = z.object({
  from: z.string().min(1).describe('`ann@example.org`, or `Ann <ann@example.org>`.'),
  to: z.array(z.string().min(1)).min(1).max(100),
  cc: z.array(z.string().min(1)).max(100).default([]),
  subject: z.string().max(2_000).default(''),
  text: z.string().optional(),
  html: z.string().optional(),
  attachments: z.array(MailEnclosure).max(100).default([]),
});

function changing(parts: MailServiceParts) {
  const { mail } = parts;
  return {
    Flag: {
      description: 'Sets and removes flags of mails.',
      idempotency: 'idempotent' as const,
      input: FlagRequest,
      output: empty,
      handler: (asked: z.output<typeof FlagRequest>, { caller }: HandlerCall) =>
        within(mail, caller, asked, async (open, box) => {
          for (const [how, names] of [
            ['add', asked.add],
            ['remove', asked.remove],
          ] as const)
            if (names.length > 0) given(await box.flag(open, asked.uids, { how, flags: bitsOf(names), keywords: [] }));
          return {};
        }),
    },
    Delete: {
      description: 'Removes mails for good.',
      idempotency: 'idempotent' as const,
      input: DeleteRequest,
      output: empty,
      handler: (asked: z.output<typeof DeleteRequest>, { caller }: HandlerCall) =>
        within(mail, caller, asked, async (open, box) => {
          const uids = asked.uids.length > 0 ? asked.uids : [...open.uids.subarray(0, open.count)];
          given(await box.flag(open, uids, { how: 'add', flags: DELETED, keywords: [] }));
          return done(await box.expunge(open, uids));
        }),
    },
    Send: {
      description: 'Sends a mail to those who are here; it is there for all of them when this answers.',
      input: SendRequest,
      output: z.object({ messageId: z.string() }),
      handler: (asked: z.output<typeof SendRequest>, { caller }: HandlerCall) => sendMail(parts, caller, asked),
    },
  };
}

const WaitRequest = SearchRequest.omit({ before: true, most: true, unseen: true }).extend({
  after: z.uint32().default(0).describe('Only mails with a UID above this.'),
  seconds: z.uint32().min(0).max(WAIT_SECONDS_MAX).default(WAIT_SECONDS),
});

function coming({ mail, topics }: MailServiceParts) {
  return {
    Wait: {
      description: 'The first mail that fits, as soon as it is there; DEADLINE_EXCEEDED when none has come in time.',
      idempotency: 'safe' as const,
      deadlineMs: (WAIT_SECONDS_MAX + 5) * 1_000,
      input: WaitRequest,
      output: MailMessage,
      handler: (asked: z.output<typeof WaitRequest>, { caller, signal }: HandlerCall) =>
        within(mail, caller, asked, async (open) => {
          const search = new MailSearch(asked);
          let seen = asked.after;
          let wake = (): void => {};
          const stop = open.listen({
            added: () => wake(),
            flagged: () => {},
            expunged: () => {},
            removed: () => wake(),
          });
          const timer = setTimeout(() => wake(), asked.seconds * 1_000);
          const until = performance.now() + asked.seconds * 1_000;
          signal.addEventListener('abort', () => wake(), { once: true });
          try {
            for (;;) {
              const came = new Promise<void>((resolve) => {
                wake = resolve;
              });
              for (const uid of open.uids.subarray(0, open.count)) {
                if (uid <= seen) continue;
                seen = uid;
                const summary = await summaryAt(open, uid);
                const bytes = summary !== null && (await search.fits(open, summary)) ? await open.whole(uid) : null;
                if (summary !== null && bytes !== null) return messageValue(summary, bytes);
              }
              if (signal.aborted || performance.now() >= until)
                throw new ServiceError('DEADLINE_EXCEEDED', `no such mail came within ${asked.seconds} s`);
              await came;
            }
          } finally {
            clearTimeout(timer);
            stop();
          }
        }),
    },
    Watch: {
      description: 'Mails as they come to the mailboxes that the caller may read.',
      kind: 'server' as const,
      idempotency: 'safe' as const,
      input: z.object({ mailbox: z.string().optional().describe('All that the caller may read when absent.') }),
      output: MailSummary,
      handler: async function* (
        asked: { mailbox?: string | undefined },
        { caller, signal }: HandlerCall,
      ): AsyncGenerator<z.input<typeof MailSummary>> {
        const stream = new TopicStream(topics, caller, signal);
        try {
          const filter = asked.mailbox === undefined ? 'mail/#' : `mail/${asked.mailbox}/#`;
          const outcome = await stream.subscribe({ filter, assurance: 0, retained: 'never' });
          if (outcome !== OK) throw failed(outcome);
          for await (const event of stream) {
            if (!('message' in event)) continue;
            const told = JSON.parse(Buffer.from(event.message.payload).toString()) as MailEvent;
            yield await summaryOf(mail, caller, told);
          }
          if (stream.isTooSlow) throw new ServiceError('RESOURCE_EXHAUSTED', 'what came was not taken fast enough');
        } finally {
          stream.end();
        }
      },
    },
  };
}

/** What an event tells, with what the mailbox has of it; of a mail that went meanwhile, what was told. */
async function summaryOf(
  mail: Mail,
  caller: HandlerCall['caller'],
  told: MailEvent,
): Promise<z.input<typeof MailSummary>> {
  return within(mail, caller, told, async (open) => {
    const summary = await summaryAt(open, told.uid);
    if (summary !== null) return summaryValue(summary);
    const { mailbox, folder, uid, size, subject, messageId } = told;
    const nobody = { from: [], to: [], flags: [], date: new Date(0) };
    return { ...nobody, mailbox, folder, uid, size: BigInt(size), subject, messageId };
  });
}
