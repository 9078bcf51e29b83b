// Services of a program on a running server: loaded from files, locked, loaded again when they change, called in process, and
// by the commands as a person types them.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Log, LogFields } from '../../src/core/log.ts';
import { ConfigError, Portico, protoService, type ServiceError } from '../../src/portico.ts';
import { shopService } from '../../src/resources/services/testing/shop.ts';
import { runCommand, startServer } from '../server-process.ts';

const TIMEOUT = { timeout: 60_000 };
const QUIET = { storage: 'memory', ports: 'ephemeral', control: false } as const;

class Place {
  readonly folder = mkdtempSync(join(tmpdir(), 'portico-services-'));

  write(name: string, text: string): string {
    const path = join(this.folder, name);
    writeFileSync(path, text);
    return path;
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A log that can be waited for. */
class Heard implements Log {
  readonly lines: string[] = [];
  debug(): void {}
  info(text: string, fields?: LogFields): void {
    this.lines.push(`${text} ${JSON.stringify(fields)}`);
  }
  warn(text: string, fields?: LogFields): void {
    this.info(text, fields);
  }
  error(text: string, fields?: LogFields): void {
    this.info(text, fields);
  }
}

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 10));
}

const HELLO = (more = '') => `
import { z } from 'zod';
import { defineService } from 'portico';
import { word } from './word.ts';
export default defineService({
  name: 'a.v1.Hello',
  methods: {
    Say: {
      input: z.object({ name: z.string() }),
      output: z.object({ text: z.string()${more} }),
      handler: ({ name }) => ({ text: word + ' ' + name }),
    },
    Tick: {
      kind: 'server',
      input: z.object({}),
      output: z.object({ text: z.string() }),
      handler: async function* (_, call) {
        for (; !call.signal.aborted; await new Promise((resolve) => setTimeout(resolve, 5))) yield { text: word };
      },
    },
    Wait: {
      kind: 'both',
      input: z.object({}),
      output: z.object({ text: z.string() }),
      handler: async function* (inputs) { for await (const _ of inputs) yield { text: word }; },
    },
  },
});
`;

test('a service changes while it is called, and a broken one changes nothing', TIMEOUT, async () => {
  using place = new Place();
  place.write('word.ts', `export const word: string = 'hello';`);
  const path = place.write('hello.ts', HELLO());
  const log = new Heard();
  await using portico = await Portico.start({ ...QUIET, services: [path], watch: true, logger: log });
  const say = async () => ((await portico.call('a.v1.Hello', 'Say', { name: 'ann' })) as { text: string }).text;
  assert.equal(await say(), 'hello ann');

  const inputs = new Fed();
  const running = portico.call('a.v1.Hello', 'Wait', inputs) as AsyncIterableIterator<{ text: string }>;
  inputs.put({});
  assert.deepEqual((await running.next()).value, { text: 'hello' });

  place.write('word.ts', `export const word: string = 'salut';`);
  await until(async () => (await say()) === 'salut ann');
  inputs.put({});
  assert.deepEqual((await running.next()).value, { text: 'hello' }, 'what runs ends with what it began with');
  inputs.end();
  assert.equal((await running.next()).done, true);

  place.write('word.ts', 'export const word: string = ;');
  await until(() => log.lines.some((line) => /services are broken; those before go on.*hello\.ts/.test(line)));
  assert.equal(await say(), 'salut ann');
  place.write('word.ts', `export const word: string = 'ciao';`);
  await until(async () => (await say()) === 'ciao ann');

  place.write('hello.ts', HELLO().replace('./word.ts', './words.ts'));
  await until(() => log.lines.some((line) => /services are broken.*words\.ts/.test(line)));
  place.write('words.ts', `export const word = 'hola';`);
  await until(async () => (await say()) === 'hola ann');
  place.write('hello.ts', HELLO());
  await until(async () => (await say()) === 'ciao ann');

  place.write('hello.ts', HELLO().replace('z.string()', 'z.string().nullable()'));
  await until(() => log.lines.some((line) => /a\.v1\.SayRequest\.name: no protocol of services has null/.test(line)));
  assert.equal(await say(), 'ciao ann');
});

/** Inputs by hand. */
class Fed implements AsyncIterable<unknown> {
  private readonly items: unknown[] = [];
  private wake = () => {};
  private isEnded = false;

  put(item: unknown): void {
    this.items.push(item);
    this.wake();
  }

  end(): void {
    this.isEnded = true;
    this.wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<unknown> {
    for (;;) {
      while (this.items.length > 0) yield this.items.shift();
      if (this.isEnded) return;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }
}

test('the lock: written, kept by new fields, broken by none in silence', TIMEOUT, async () => {
  using place = new Place();
  place.write('word.ts', `export const word = 'hello';`);
  const path = place.write('hello.ts', HELLO(', old: z.string().optional()'));
  const inFolder = { folder: place.folder };
  const run = (...given: string[]) => runCommand(['services', ...given], '', inFolder);

  const before = await run('check', './hello.ts');
  assert.equal(before.code, 1);
  assert.match(before.output, /there is no portico\.services\.lock\.json yet; portico services lock writes it/);
  assert.equal((await run('lock', './hello.ts')).code, 0);
  const check = await run('check', './hello.ts');
  assert.equal(check.code, 0, check.errors);
  assert.match(check.output, /as locked/);

  place.write('hello.ts', HELLO(', first: z.string().optional(), old: z.string().optional()'));
  const added = await run('check', './hello.ts');
  assert.match(added.output, /new a\.v1\.SayResponse\.first: is new, with number 3/);

  place.write('hello.ts', HELLO(', first: z.string().optional()'));
  const broken = await run('check', './hello.ts');
  assert.equal(broken.code, 1);
  assert.match(broken.output, /breaks a\.v1\.SayResponse\.old: the field \(number 2\) is gone/);
  assert.equal((await run('lock', './hello.ts')).code, 1);
  await assert.rejects(Portico.start({ ...QUIET, services: [path] }), (error: Error) => {
    assert.ok(error instanceof ConfigError);
    assert.match(error.message, /SayResponse\.old.*--retire a\.v1\.SayResponse\.old/);
    return true;
  });
  const wrong = await run('lock', './hello.ts', '--retire', 'a.v1.SayResponse.none');
  assert.equal(wrong.code, 64);
  assert.equal((await run('lock', './hello.ts', '--retire', 'a.v1.SayResponse.old')).code, 0);
  const lock = JSON.parse(readFileSync(join(place.folder, 'portico.services.lock.json'), 'utf8'));
  assert.deepEqual(lock.services['a.v1.Hello'].types['a.v1.SayResponse'], {
    fields: { text: { number: 1, type: 'string', required: true }, first: { number: 3, type: 'string' } },
    retired: { old: { number: 2, type: 'string' } },
  });
  await using portico = await Portico.start({ ...QUIET, services: [path] });
  assert.ok(portico.services.all.has('a.v1.Hello'));
});

test('portico up --service --watch: what it says, and that it goes on', TIMEOUT, async () => {
  using place = new Place();
  place.write('word.ts', `export const word = 'hello';`);
  const path = place.write('hello.ts', HELLO());
  const environment = { PORTICO_PORTS: 'ephemeral' };
  await using server = await startServer(['--storage', 'memory', '--service', path, '--watch'], environment);
  const wsdl = async () => {
    const answer = await fetch(new URL('/soap/a.v1.Hello?wsdl', server.urls.http));
    return answer.text();
  };
  assert.match(await wsdl(), /Say/);
  // A stream that stands through it all, on a connection of its own.
  const gone = new AbortController();
  const stream = await fetch(new URL('/services/a.v1.Hello/Tick', server.urls.http), {
    method: 'POST',
    body: '{}',
    signal: gone.signal,
  });
  const lines = stream.body!.pipeThrough(new TextDecoderStream()).getReader();
  assert.match(String((await lines.read()).value), /hello/);
  place.write('word.ts', `export const word = 'salut';`);
  const say = async () => {
    const answer = await fetch(new URL('/services/a.v1.Hello/Say', server.urls.http), {
      method: 'POST',
      body: '{"name":"ann"}',
    });
    return answer.text();
  };
  await until(async () => /salut ann/.test(await say()));
  for (let more = 0; more < 5; more++) assert.match(String((await lines.read()).value), /^(?:\{"text":"hello"\}\n)+$/);
  gone.abort();
  place.write('hello.ts', HELLO().replace('Say:', 'Greet:'));
  await until(async () => /Greet/.test(await wsdl()));
  assert.equal(await server.stop(), 0);
  for (const [given, text] of [
    ['./none.ts', /none\.ts: there is no such file/],
    ['x.proto', /a \.proto has no handlers/],
    ['empty.ts', /it has no default export/],
  ] as const) {
    place.write('x.proto', '');
    place.write('empty.ts', 'export const nothing = 1;');
    const refused = await runCommand(['up', '--storage', 'memory', '--service', given], '', {
      folder: place.folder,
      environment,
    });
    assert.equal(refused.code, 78);
    assert.match(refused.errors, text);
  }
});

test('a service that throws where nobody catches does not take the server with it', TIMEOUT, async () => {
  using place = new Place();
  const path = place.write(
    'wild.ts',
    `import { defineService, z } from 'portico';
     export default defineService({ name: 'a.v1.Wild', methods: { Go: { input: z.object({}), output: z.object({}), handler: () => {
       setTimeout(() => { throw new Error('stray timer'); });
       Promise.resolve().then(() => { throw new Error('stray promise'); });
       throw new Error('within');
     } } } });`,
  );
  await using server = await startServer(['--storage', 'memory', '--service', path]);
  const go = () => fetch(new URL('/services/a.v1.Wild/Go', server.urls.http), { method: 'POST', body: '{}' });
  assert.equal((await go()).status, 500);
  await until(() =>
    ['within', 'stray timer', 'stray promise'].every((text) => server.complaints.join().includes(text)),
  );
  assert.equal((await go()).status, 500);
  assert.equal(await server.stop(), 0);
});

test('services from a .proto, with their types, called in process', TIMEOUT, async () => {
  using place = new Place();
  const proto = place.write(
    'greet.proto',
    `syntax = "proto3"; package greet.v1;
     message Name { string name = 1; int64 times = 2; }
     message Text { string text = 1; repeated string all = 2; }
     service Greeter { rpc Greet(Name) returns (Text); rpc Never(Name) returns (Text); }`,
  );
  const made = await runCommand(['services', 'types', './greet.proto'], '', { folder: place.folder });
  assert.equal(made.code, 0, made.errors);
  assert.match(readFileSync(join(place.folder, 'greet.types.ts'), 'utf8'), /Greet: UnaryHandler<Name, TextGiven>;/);
  const greeter = protoService(proto, {
    'greet.v1.Greeter': { Greet: ({ name, times }: { name: string; times: bigint }) => ({ text: `${name} ${times}` }) },
  });
  await using portico = await Portico.start({ ...QUIET, services: [greeter] });
  assert.deepEqual(await portico.call('greet.v1.Greeter', 'Greet', { name: 'ann' }), { text: 'ann 0', all: [] });
  await assert.rejects(
    portico.call('greet.v1.Greeter', 'Never', {}) as Promise<unknown>,
    (error: ServiceError) => error.code === 'UNIMPLEMENTED',
  );
});

test('calls have the rights of who makes them, and end when he is gone', TIMEOUT, async () => {
  const shop = shopService();
  const rules = ['allow bob call services/#', 'deny bob call services/shop.v1.Orders/WhoAmI'];
  await using portico = await Portico.start({ ...QUIET, services: [shop], rules });
  // The first is an administrator, who may do all.
  for (const name of ['ann', 'bob'])
    assert.equal((await portico.order({ do: 'account.add', name, password: 'a long enough password' })).ok, true);
  // Whoever the change revoked has been told of it.
  for (let turns = 0; turns < 3; turns++) await new Promise((resolve) => setImmediate(resolve));
  const bob = { account: 'bob', scopes: null, origin: 'local', epoch: 0, by: 'password', id: 'of nobody' } as const;
  const client = portico.client(shop, bob);
  await assert.rejects(client.WhoAmI({}), (error: ServiceError) => error.code === 'PERMISSION_DENIED');
  const stream = client.WatchOrders({ follow: true });
  await assert.rejects(client.GetOrder({ id: 'none' }), (error: ServiceError) => error.code === 'NOT_FOUND');
  const ended = assert.rejects(stream.next(), (error: ServiceError) => error.code === 'UNAUTHENTICATED');
  assert.equal((await portico.order({ do: 'account.disable', name: 'bob' })).ok, true);
  await ended;
  assert.equal((await portico.client(shop).WhoAmI({})).account, '');
});

test('metrics count calls by how they ended', TIMEOUT, async () => {
  const shop = shopService();
  await using portico = await Portico.start({ ...QUIET, services: [shop] });
  const client = portico.client(shop);
  await client.WhoAmI({});
  await client.WhoAmI({});
  await assert.rejects(client.GetOrder({ id: 'none' }));
  const text = await (await fetch(new URL('/metrics', portico.urls.http))).text();
  assert.match(text, /^portico_calls_total\{service="shop\.v1\.Orders",method="WhoAmI",code="OK"\} 2$/m);
  assert.match(text, /^portico_calls_total\{service="shop\.v1\.Orders",method="GetOrder",code="NOT_FOUND"\} 1$/m);
  assert.match(text, /^portico_calls 0$/m);
});

test('a server that closes ends its calls', TIMEOUT, async () => {
  const shop = shopService();
  const portico = await Portico.start({ ...QUIET, services: [shop], limits: { leaveMs: 200 } });
  const client = portico.client(shop);
  const stream = client.WatchOrders({ follow: true }).next();
  const hung = client.Fail({ how: 'HANG' });
  const ends = [stream, hung].map((each) =>
    each.then(
      () => 'OK',
      (error: ServiceError) => error.code,
    ),
  );
  await client.WhoAmI({});
  await portico.close();
  assert.deepEqual(await Promise.all(ends), ['UNAVAILABLE', 'UNAVAILABLE']);
});
