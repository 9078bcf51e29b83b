// The client half against our own server, over a simulated link: entering, literals, IDLE, what a server must not say, and any bytes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Fault } from '../../core/fault.ts';
import { Recorder } from '../../core/pipe-suite.ts';
import { NO_EVENTS } from '../../core/stream-pipe.ts';
import { linkPipes } from '../../sim/pipes.ts';
import { World } from '../../sim/world.ts';
import { ImapClient, type ImapClientEvents } from './client.ts';
import { pairOf, ResponseReader, type Untagged } from './codec-responses.ts';
import { serveImap } from './server.ts';
import { Stage } from './testing/stage.ts';

interface Heard {
  readonly told: Untagged[];
  state: string;
  fault: Fault | null;
}

function listener(): [Heard, ImapClientEvents] {
  const heard: Heard = { told: [], state: '', fault: null };
  return [
    heard,
    {
      ready: () => void (heard.state = 'ready'),
      unready: (text) => void (heard.state = text),
      told: (untagged) => void heard.told.push(untagged),
      closed: (_cause, fault) => void (heard.fault = fault),
    },
  ];
}

const terms = (world: World) => ({
  credentials: { account: 'ann', password: 'x' },
  entropy: world.random,
  tls: null,
  tlsRequired: false,
});

/** A client that is connected to a server with mail. */
async function joined(cut = 0, stage?: Stage) {
  const it = stage ?? (await Stage.open());
  const { world, host, mail } = it;
  const [heard, events] = listener();
  let client!: ImapClient;
  linkPipes(
    world,
    (pipe) => (client = new ImapClient(pipe, terms(world), events, world.turn.clock)),
    (pipe) => serveImap(pipe, host, mail),
    { cut },
  );
  const settle = async () => {
    for (let quiet = 0; quiet < 8; quiet++) {
      world.pass(50);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  await settle();
  return { stage: it, client, heard, settle };
}

/** A client that hears what it is told. */
function alone(bytes: Uint8Array, cut = 0) {
  const world = new World(1);
  const [heard, events] = listener();
  let client!: ImapClient;
  linkPipes(
    world,
    (pipe) => (client = new ImapClient(pipe, terms(world), events, world.turn.clock)),
    (pipe) => {
      pipe.out.copy(bytes, 0, bytes.length);
      pipe.flush();
      return new Recorder(pipe);
    },
    { cut, events: { ...NO_EVENTS, faulted: (_pipe, fault) => void (heard.fault = fault) } },
  );
  world.pass(50);
  return { world, client, heard };
}

test('it signs in, appends with a literal, fetches and hears of what comes while it idles', async () => {
  for (const cut of [0, 1, 7]) {
    const { stage, client, heard, settle } = await joined(cut);
    assert.equal(heard.state, 'ready');
    assert.ok(client.capabilities.has('IDLE'));
    const endings: string[] = [];
    const done = ({ status }: { status: string }) => void endings.push(status);
    const letter = Buffer.from('Subject: one\r\n\r\nBody with a } and {3}\r\nend\r\n');
    client.say(['APPEND INBOX ', letter], null, done);
    client.say(['SELECT INBOX'], null, done);
    const fetched: Untagged[] = [];
    client.say(['FETCH 1 (UID BODY[] BODY.PEEK[HEADER.FIELDS (SUBJECT)])'], (each) => void fetched.push(each), done);
    client.say(['SEARCH CHARSET UTF-8 SUBJECT ', Buffer.from('größe')], null, done);
    client.say(['NOSUCH'], null, done);
    await settle();
    assert.deepEqual(endings, ['OK', 'OK', 'OK', 'OK', 'BAD']);
    assert.deepEqual(pairOf(fetched[0]!.values[0], 'BODY[]'), letter);
    assert.equal(String(pairOf(fetched[0]!.values[0], 'BODY[HEADER.FIELDS (SUBJECT)]')), 'Subject: one\r\n\r\n');
    client.idle(done);
    await settle();
    heard.told.length = 0;
    await stage.deliver('Subject: two\r\n\r\nx');
    await settle();
    assert.ok(heard.told.some(({ name, number }) => name === 'EXISTS' && number === 2));
    client.wake();
    await settle();
    assert.equal(endings.length, 6);
    client.quit();
    await settle();
    assert.equal(heard.fault, null);
    assert.deepEqual(stage.world.bugs, []);
  }
});

test('who is not let in is told why; a command with a line end is none', async () => {
  const { client, heard } = alone(Buffer.from('* BYE [UNAVAILABLE] Not today.\r\n'));
  assert.equal(heard.state, 'Not today.');
  assert.throws(() => client.say(['NOOP\r\nLOGOUT'], null, () => {}), RangeError);
});

test('responses of RFC 9051 §7 as values', () => {
  const read = (text: string) => new ResponseReader().untagged(Buffer.from(text), 0, text.length);
  assert.deepEqual(read('LIST (\\Marked \\NoInferiors) "/" "inbox"')!.values, [
    ['\\Marked', '\\NoInferiors'],
    '/',
    'inbox',
  ]);
  assert.deepEqual(read('LIST () NIL {3}\r\na"b')!.values, [[], null, Buffer.from('a"b')]);
  assert.deepEqual(read('23 FETCH (FLAGS (\\Seen) RFC822.SIZE 44827)')!.values, [
    ['FLAGS', ['\\Seen'], 'RFC822.SIZE', '44827'],
  ]);
  assert.deepEqual(read('1 FETCH (BODY (("TEXT" "PLAIN")("TEXT" "HTML") "MIXED"))')!.values, [
    ['BODY', [['TEXT', 'PLAIN'], ['TEXT', 'HTML'], 'MIXED']],
  ]);
  assert.deepEqual(read('OK [UIDNEXT 4392] Predicted next UID'), {
    name: 'OK',
    number: 0,
    values: [],
    code: 'UIDNEXT 4392',
    text: 'Predicted next UID',
  });
  for (const wrong of ['', '12', 'LIST (', 'LIST "a', 'FETCH {9}\r\nabc', `X ${'('.repeat(200)}`])
    assert.equal(read(wrong), null, wrong);
});

test('whatever a server says, nothing is thrown, and what is none of IMAP ends it', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(
          fc.constantFrom(
            '* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi\r\n',
            'p1 OK in\r\n',
            '* 3 EXISTS\r\n',
            '+ \r\n',
            '* 1 FETCH (BODY[] {5}\r\nab',
          ),
          fc.string(),
        ),
        { maxLength: 12 },
      ),
      fc.nat(20),
      (pieces, cut) => {
        const { world, heard } = alone(Buffer.from(pieces.join('')), cut);
        assert.deepEqual(world.bugs, []);
        if (heard.fault !== null) assert.match(heard.fault.id, /^imap\./);
      },
    ),
    { numRuns: 200 },
  );
  const { heard } = alone(Buffer.from('HTTP/1.1 400 Bad Request\r\n'));
  assert.equal(heard.fault?.id, 'imap.badReply');
});
