import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Recorder } from '../../core/pipe-suite.ts';
import { linkPipes } from '../../sim/pipes.ts';
import { World } from '../../sim/world.ts';
import { DataClient, FtpClient, namedPath, passivePort, type Reply, readFacts } from './client.ts';
import { serveFtp } from './server.ts';
import { FTP_DEFAULTS } from './settings.ts';
import { CLIENT_TLS, Stage } from './testing/stage.ts';

interface Talk {
  readonly stage: Stage;
  readonly client: FtpClient;
  readonly told: string[];
  /** Says a command and waits for its reply; promises settle in between. */
  asks(command: string): Promise<Reply>;
  settle(): Promise<void>;
}

function talk(options: { readonly tls?: boolean; readonly cut?: number } = {}): Talk {
  const stage = new Stage(options);
  const told: string[] = [];
  let client!: FtpClient;
  linkPipes(
    stage.world,
    (pipe) =>
      (client = new FtpClient(pipe, {
        greeted: ({ code }) => told.push(`greeted ${code}`),
        secured: () => told.push('secured'),
        closed: (cause, fault) => told.push(`closed ${cause} ${fault?.id ?? ''}`),
      })),
    (pipe) => serveFtp(pipe, stage.host, FTP_DEFAULTS, false, () => stage.files),
    { cut: options.cut ?? 0 },
  );
  const settle = async () => {
    for (let round = 0; round < 4; round++) {
      stage.world.pass(50);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return {
    stage,
    client,
    told,
    settle,
    async asks(command) {
      let answer: Reply | null = null;
      client.say(command, (reply) => (answer = reply));
      await settle();
      assert.ok(answer !== null, `no reply to ${command}`);
      return answer;
    },
  };
}

async function connected({ stage, asks }: Talk, tls: boolean, got: Buffer[], told: string[]): Promise<DataClient> {
  const port = passivePort(await asks('EPSV'))!;
  let data!: DataClient;
  stage.meet(port, (pipe) => {
    data = new DataClient(pipe, tls ? CLIENT_TLS : null, {
      ready: () => told.push('ready'),
      received: (input, start, end) => {
        got.push(Buffer.from(input.subarray(start, end)));
        return end - start;
      },
      roomy: () => told.push('roomy'),
      finished: () => told.push('finished'),
      closed: (isWhole) => told.push(`closed ${isWhole}`),
    });
    return data;
  });
  return data;
}

for (const tls of [false, true])
  for (const cut of [0, 3])
    test(`signs in, sends and fetches ${tls ? 'within TLS' : 'in the clear'}${cut > 0 ? ', cut' : ''}`, async () => {
      const it = talk({ tls, cut });
      await it.settle();
      assert.deepEqual(it.told, ['greeted 220']);
      if (tls) {
        assert.equal((await it.asks('AUTH TLS')).code, 234);
        it.client.secure(CLIENT_TLS);
        await it.settle();
        assert.deepEqual(it.told, ['greeted 220', 'secured']);
        await it.asks('PBSZ 0');
        await it.asks('PROT P');
      }
      await it.asks('USER ann');
      assert.equal((await it.asks('PASS x')).code, 230);
      assert.equal(namedPath(await it.asks('PWD')), '/');
      await it.asks('TYPE I');
      const sent: string[] = [];
      const upload = await connected(it, tls, [], sent);
      const marks: number[] = [];
      let done: Reply | null = null;
      it.client.say(
        'STOR a',
        (reply) => (done = reply),
        ({ code }) => marks.push(code),
      );
      await it.settle();
      assert.deepEqual([sent, marks], [['ready'], [150]]);
      upload.bytes(Buffer.from('hello'), 0, 5);
      upload.end();
      await it.settle();
      assert.equal((done as Reply | null)?.code, 226);
      assert.equal(it.stage.files.text('a'), 'hello');
      const got: Buffer[] = [];
      const fetched: string[] = [];
      await connected(it, tls, got, fetched);
      assert.equal((await it.asks('RETR a')).code, 226);
      assert.equal(Buffer.concat(got).toString(), 'hello');
      assert.deepEqual(fetched, ['ready', 'finished', 'closed true']);
      assert.equal((await it.asks('SIZE none')).code, 550);
      await it.asks('QUIT');
      await it.settle();
      assert.equal(it.told.at(-1), 'closed ended ');
      assert.deepEqual(it.stage.world.bugs, []);
    });

test('what a server must not say', () => {
  for (const [text, fault] of [
    ['hello\r\n', 'ftp.badReply'],
    ['220 a\r\n220 b\r\n', 'ftp.unasked'],
  ] as const) {
    const world = new World(1);
    let server!: Recorder;
    const told: string[] = [];
    linkPipes(
      world,
      (pipe) =>
        new FtpClient(pipe, {
          greeted: () => {},
          secured: () => {},
          closed: (_cause, why) => told.push(why?.id ?? ''),
        }),
      (pipe) => (server = new Recorder(pipe)),
    );
    server.say(text);
    world.pass(5_000);
    assert.deepEqual(told, [fault], text);
  }
});

test('a command is one line', () => {
  const { client } = talk();
  assert.throws(() => client.say('RETR a\r\nDELE b', () => {}), RangeError);
});

test('facts of a listing (RFC 3659 §7.7), and names that lead elsewhere', () => {
  assert.deepEqual(readFacts('Type=file;Size=25730;Modify=19940728095854;Perm=; cap mux.tar.z'), {
    name: 'cap mux.tar.z',
    type: 'file',
    size: 25_730,
    modify: '19940728095854',
  });
  assert.equal(readFacts('type=dir; d')?.size, -1);
  for (const line of ['', 'x', 'type=file; ../../etc/passwd', 'type=file; /etc', 'type=pdir; ..', 'type=file; '])
    assert.equal(readFacts(line), null, line);
  assert.equal(passivePort({ code: 229, lines: ['Entering Extended Passive Mode (|||6446|)'] }), 6_446);
  for (const line of ['(||6446|)', '(|||0|)', '(|||70000|)', ''])
    assert.equal(passivePort({ code: 229, lines: [line] }), null);
});
