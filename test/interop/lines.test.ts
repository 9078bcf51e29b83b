// Lines with real netcat (netcat-openbsd): over TCP, over UDP, and as docs/lines.md says it.
import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { Portico } from '../../src/portico.ts';

const present = spawnSync('nc', ['-h']).stderr?.toString().includes('OpenBSD netcat') ?? false;
const skip = present || process.env.CI === 'true' ? false : 'nc (netcat-openbsd) is not installed';

let portico: Portico;
let tcp: string[] = [];
let udp: string[] = [];
const running: ChildProcessWithoutNullStreams[] = [];

before(async () => {
  portico = await Portico.start({ ports: 'ephemeral', storage: 'memory' });
  const where = (url: string) => {
    const { hostname, port } = new URL(url.replace(/^\w+:/, 'http:'));
    return [hostname, port];
  };
  tcp = where(portico.urls.lines!);
  udp = where(portico.urls.udp!);
});

after(async () => {
  for (const child of running) child.kill();
  await portico.close();
});

interface Netcat {
  readonly says: (text: string | Uint8Array) => void;
  readonly heard: () => string;
  readonly end: () => void;
  /** Until what was heard fits. */
  readonly hears: (pattern: RegExp) => Promise<string>;
  readonly closed: Promise<number | null>;
}

function nc(...parameters: string[]): Netcat {
  const child = spawn('nc', parameters);
  running.push(child);
  let text = '';
  child.stdout.on('data', (bytes: Buffer) => {
    text += bytes.toString('utf8');
  });
  const closed = new Promise<number | null>((resolve) => child.on('close', resolve));
  return {
    says: (said) => void child.stdin.write(said),
    heard: () => text,
    end: () => void child.stdin.end(),
    closed,
    async hears(pattern) {
      for (let round = 0; !pattern.test(text); round++) {
        assert.ok(round < 1_000, `heard ${JSON.stringify(text)}, not ${pattern}`);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      return text;
    },
  };
}

/** Runs netcat with all of its input at once, until it ends. */
async function once(input: string | Uint8Array, ...parameters: string[]): Promise<string> {
  const netcat = nc(...parameters);
  netcat.says(input);
  netcat.end();
  await netcat.closed;
  return netcat.heard();
}

const on = (what: string, run: () => Promise<void>) => test(`nc: ${what}`, { skip, timeout: 30_000 }, run);

on('what one shell publishes, another reads', async () => {
  const subscriber = nc(...tcp);
  subscriber.says('SUB! sensors/#\n');
  await subscriber.hears(/^\+OK\n$/);
  await once('PUB sensors/a 21.5\n', '-N', ...tcp);
  await once('PUB sensors/b two words\r\n', '-N', ...tcp);
  assert.equal(await subscriber.hears(/words\n/), '+OK\nsensors/a 21.5\nsensors/b two words\n');
  subscriber.says('QUIT\n');
  await subscriber.hears(/\+BYE\n$/);
  subscriber.end();
  assert.equal(await subscriber.closed, 0);
});

on('an acknowledged publish, its cursor, and going on behind it', async () => {
  const said = await once('PUB! log/a 1\nPUB! log/a 2\nPUB! log/a 3\n', '-N', ...tcp);
  const [first] = /\d+/.exec(said)!;
  assert.match(said, /^\+OK \d+\n\+OK \d+\n\+OK \d+\n$/);
  const again = nc(...tcp);
  again.says(`SUB log/a after=${first}\n`);
  assert.equal(await again.hears(/3\n/), 'log/a 2\nlog/a 3\n');
  again.end();
});

on('retained: PUT, LAST, and first for whoever subscribes', async () => {
  assert.match(await once('PUT! state/door open\nLAST state/door\n', '-N', ...tcp), /^\+OK \d+\nstate\/door open\n$/);
  const subscriber = nc(...tcp);
  subscriber.says('SUB state/+\n');
  await subscriber.hears(/^state\/door open\n$/);
  subscriber.end();
});

on('raw bytes, and JSON', async () => {
  const subscriber = nc(...tcp);
  subscriber.says('JSON\nSUB! raw\n');
  await subscriber.hears(/ok/);
  await once(Buffer.concat([Buffer.from('PUBB raw 3\n'), Buffer.of(0xff, 0x0a, 0)]), '-N', ...tcp);
  const line = (await subscriber.hears(/base64.*\n/)).trim().split('\n').at(-1)!;
  const { topic, base64 } = JSON.parse(line) as Record<string, string>;
  assert.deepEqual([topic, base64], ['raw', '/woA']);
  subscriber.end();
});

on('errors in words; a page that posts is sent away', async () => {
  assert.match(
    await once('PING\nNOPE\nPUB $SYS/x 1\n', '-N', ...tcp),
    /^\+PONG\n-ERR INVALID - .*\n-ERR DENIED PUB .*\n$/,
  );
  const posted = await once('POST / HTTP/1.1\r\nHost: localhost\r\n\r\nPUB a b\r\n', '-N', ...tcp);
  assert.equal(posted, '-ERR INVALID - this is not an HTTP server\n');
});

on('UDP: a datagram publishes, a lease receives', async () => {
  const subscriber = nc('-u', ...udp);
  subscriber.says('SUB! udp/# lease=30\n');
  await subscriber.hears(/^\+OK 30 udp\/#\n$/);
  await once('PUB udp/a 21.5\n', '-u', '-w1', ...udp);
  assert.equal(await subscriber.hears(/21/), '+OK 30 udp/#\nudp/a 21.5\n');
  await once('PUB udp/b from-tcp\n', '-N', ...tcp);
  await subscriber.hears(/udp\/b from-tcp\n$/);
  subscriber.says('PING\n');
  await subscriber.hears(/\+PONG\n$/);
  subscriber.end();
});
