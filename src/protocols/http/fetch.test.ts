// Handlers as users write them, over simulated exchanges.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Fields } from '../../core/fields.ts';
import { REVOKED } from '../../core/pipe.ts';
import { type SimulatedClient, type SimulatedRequest, simulateRequest } from '../../sim/exchange.ts';
import { World } from '../../sim/world.ts';
import { type FetchHandler, fetchHandler } from './fetch.ts';

class Bench {
  readonly world = new World(7);
  readonly logged: string[] = [];
  private readonly cut: number;

  constructor(cut = 1_000) {
    this.cut = cut;
  }

  request(handler: FetchHandler, request: SimulatedRequest = {}): SimulatedClient {
    return simulateRequest(
      this.world,
      fetchHandler(handler, (error) => void this.logged.push(String(error))),
      request,
      { cut: this.cut },
    );
  }

  async until(done: () => boolean): Promise<void> {
    for (let round = 0; !done(); round++) {
      assert.ok(round < 20_000, 'nothing more happens');
      this.world.pass(1);
      await turn();
    }
    assert.deepEqual(this.world.bugs, []);
  }

  /** A whole exchange. */
  async answer(handler: FetchHandler, request: SimulatedRequest = {}, body = ''): Promise<SimulatedClient> {
    const client = this.request(handler, request);
    if (body !== '') client.send(body);
    client.end();
    await this.until(() => client.ended || client.failed !== null);
    return client;
  }
}

test('the Request has the method, the URL, the fields and the body', async () => {
  const bench = new Bench();
  let seen: Request | undefined;
  let text = '';
  const client = await bench.answer(
    async (request, info) => {
      seen = request;
      text = await request.text();
      return new Response(`hello ${info.caller.origin}`, { status: 201, headers: { 'x-own': 'yes' } });
    },
    {
      method: 'POST',
      target: '/a%20b/ü?c=d&e',
      authority: 'example.com:8080',
      fields: new Fields().append('X-One', '1').append('x-one', '2').append('x-name', 'Grüße'),
    },
    'the body',
  );
  assert.equal(seen!.method, 'POST');
  assert.equal(seen!.url, 'http://example.com:8080/a%20b/%C3%BC?c=d&e');
  assert.equal(seen!.headers.get('x-one'), '1, 2');
  assert.equal(Buffer.from(seen!.headers.get('x-name')!, 'latin1').toString(), 'Grüße');
  assert.equal(text, 'the body');
  assert.equal(client.status, 201);
  assert.equal(client.fields.get('x-own'), 'yes');
  assert.equal(client.fields.get('content-type'), 'text/plain;charset=UTF-8');
  assert.equal(client.body.toString(), 'hello local');
});

test('a path that begins with two slashes is a path, not an authority (RFC 9112 §3.2.1)', async () => {
  const urls: string[] = [];
  for (const target of ['//evil.example/x', 'http://other.example/y?z', '*'])
    await new Bench().answer(
      (request) => {
        urls.push(request.url);
        return new Response(null);
      },
      { target, method: target === '*' ? 'OPTIONS' : 'GET', authority: 'a.example' },
    );
  assert.deepEqual(urls, ['http://a.example//evil.example/x', 'http://a.example/y?z', 'http://a.example/*']);
});

test('what cannot be a Request is answered with 400, and the handler is not called', async () => {
  for (const request of [{ authority: 'a b' }, { method: 'TRACE' }, { fields: new Fields().append('x', 'a\nb') }]) {
    const client = await new Bench().answer(() => assert.fail('called'), request);
    assert.equal(client.status, 400);
  }
});

test('each Set-Cookie is a field of its own (RFC 6265 §3), and fields of the connection are left out (RFC 9110 §7.6.1)', async () => {
  const client = await new Bench().answer(() => {
    const headers = new Headers({ connection: 'close', 'transfer-encoding': 'gzip', upgrade: 'x', 'keep-alive': '1' });
    headers.append('set-cookie', 'a=1; Path=/');
    headers.append('set-cookie', 'b=2');
    headers.append('vary', 'x');
    headers.append('vary', 'y');
    return new Response('x', { headers });
  });
  const list = [...client.fields].map(([name, value]) => `${name}: ${value}`).filter((line) => !/^content/.test(line));
  assert.deepEqual(list, ['set-cookie: a=1; Path=/', 'set-cookie: b=2', 'vary: x, y']);
});

test('a Content-Length is told, and the body is held to it (RFC 9110 §8.6)', async () => {
  const of = (length: string) =>
    new Bench().answer(() => new Response('12345', { headers: { 'content-length': length } }));
  const right = await of('5');
  assert.equal(right.length, 5);
  assert.equal(right.body.toString(), '12345');
  for (const wrong of ['4', '6']) assert.notEqual((await of(wrong)).failed, null);
  assert.equal((await of('five')).status, 500);
  const empty = await new Bench().answer(() => new Response(null, { status: 200 }));
  assert.equal(empty.length, 0);
});

test('a body that is whole already gets its length; one that is made as it goes does not', async () => {
  const made = () => {
    let left = 3;
    return new ReadableStream({
      async pull(controller) {
        await turn();
        if (left-- > 0) controller.enqueue(Buffer.from('ab'));
        else controller.close();
      },
    });
  };
  for (const [body, length, text] of [
    ['hello', 5, 'hello'],
    ['', 0, ''],
    [Buffer.alloc(300_000, 'x'), 300_000, 'x'.repeat(300_000)],
    [made(), undefined, 'ababab'],
  ] as const) {
    const client = await new Bench(50_000).answer(() => new Response(body));
    assert.equal(client.length, length);
    assert.equal(client.body.toString(), text);
  }
  const json = await new Bench().answer(() => Response.json({ a: 1 }));
  assert.equal(json.length, 7);
  const bench = new Bench();
  const broken = new ReadableStream({ start: (controller) => controller.error(new Error('from the start')) });
  assert.equal((await bench.answer(() => new Response(broken))).status, 500);
});

test('HEAD gets the fields and no body, which is given up (RFC 9110 §9.3.2)', async () => {
  let cancelled = false;
  const client = await new Bench().answer(
    () =>
      new Response(new ReadableStream({ cancel: () => void (cancelled = true) }), {
        headers: { 'content-length': '9', etag: '"x"' },
      }),
    { method: 'HEAD' },
  );
  assert.equal(client.length, 9);
  assert.equal(client.fields.get('etag'), '"x"');
  assert.equal(client.body.length, 0);
  assert.equal(cancelled, true);
});

test('a status without a body has none (RFC 9110 §15.3.5, §15.4.5)', async () => {
  for (const status of [204, 205, 304]) {
    const client = await new Bench().answer(() => new Response(null, { status, headers: { etag: '"e"' } }));
    assert.equal(client.status, status);
    assert.equal(client.body.length, 0);
    assert.equal(client.failed, null);
  }
});

test('a handler that throws, rejects or answers nothing is 500, with a line in the log', async () => {
  const used = new Response('x');
  await used.text();
  const handlers: FetchHandler[] = [
    () => {
      throw new Error('broken');
    },
    async () => {
      throw new Error('broken');
    },
    () => undefined as unknown as Response,
    () => Response.error(),
    () => used,
    () => new Response('x', { headers: { 'content-length': '-1' } }),
  ];
  for (const handler of handlers) {
    const bench = new Bench();
    const client = await bench.answer(handler);
    assert.equal(client.status, 500);
    assert.equal(client.fields.get('content-type'), 'application/problem+json');
    assert.doesNotMatch(client.body.toString(), /broken/);
    assert.equal(bench.logged.length, 1);
  }
});

test('a body that fails while it is sent is seen not to be complete (RFC 9112 §8)', async () => {
  const bench = new Bench();
  let pulls = 0;
  const client = await bench.answer(
    () =>
      new Response(
        new ReadableStream({
          async pull(controller) {
            if (pulls > 0) await turn();
            if (pulls++ > 0) throw new Error('half way');
            controller.enqueue(Buffer.from('part'));
          },
        }),
      ),
  );
  assert.equal(client.ended, false);
  assert.notEqual(client.failed, null);
  assert.deepEqual(bench.logged, ['Error: half way']);
});

test('an endless answer is pulled as the client reads, and given up when it goes away', async () => {
  const bench = new Bench();
  let pulled = 0;
  let cancelled: unknown = null;
  let aborted = false;
  const client = bench.request((request) => {
    request.signal.addEventListener('abort', () => (aborted = true));
    return new Response(
      new ReadableStream({
        pull(controller) {
          pulled += 10_000;
          controller.enqueue(Buffer.alloc(10_000));
        },
        cancel: (reason) => void (cancelled = reason),
      }),
    );
  });
  client.end();
  await bench.until(() => client.body.length > 0);
  client.pipe.pause();
  for (let round = 0; round < 300; round++)
    await bench
      .until(() => true)
      .then(() => bench.world.pass(1))
      .then(() => turn());
  const held = pulled - client.body.length;
  assert.ok(held < 1_200_000, `${held} bytes wait`);
  const before = pulled;
  for (let round = 0; round < 50; round++) {
    bench.world.pass(1);
    await turn();
  }
  assert.equal(pulled, before);
  client.pipe.resume();
  await bench.until(() => pulled > before + 1_000_000);
  assert.equal(aborted, false);
  client.abort(8);
  await bench.until(() => aborted && cancelled !== null);
  assert.deepEqual(bench.logged, []);
});

test('a body that the handler reads slowly holds the client back, and none is lost', async () => {
  const bench = new Bench(20_000);
  const size = 3_000_000;
  let read = 0;
  let sum = 0;
  let go: (() => void) | null = null;
  const client = bench.request(
    async (request) => {
      for await (const chunk of request.body!) {
        read += chunk.length;
        for (const byte of chunk) sum = (sum + byte) % 65_521;
        await new Promise<void>((resolve) => {
          go = resolve;
        });
      }
      return new Response(`${read} ${sum}`);
    },
    { method: 'PUT' },
  );
  const bytes = Buffer.from(Array.from({ length: size }, (_, index) => (index * 31) % 251));
  client.send(bytes);
  client.end();
  await bench.until(() => go !== null);
  for (let round = 0; round < 100; round++) {
    bench.world.pass(1);
    await turn();
  }
  const waiting = client.link.near.queued;
  assert.ok(waiting > size - 400_000, `of ${size} bytes, ${waiting} wait with the client`);
  await bench.until(() => {
    go?.();
    return client.ended;
  });
  const expected = bytes.reduce((all, byte) => (all + byte) % 65_521, 0);
  assert.equal(client.body.toString(), `${size} ${expected}`);
});

test('an echo goes both ways at once', async () => {
  const bench = new Bench();
  const client = bench.request((request) => new Response(request.body), { method: 'POST' });
  client.send('one ');
  await bench.until(() => client.body.toString() === 'one ');
  client.send('two');
  await bench.until(() => client.body.toString() === 'one two');
  client.end();
  await bench.until(() => client.ended);
});

test('a body that is not read, or given up, is discarded', async () => {
  const handlers: FetchHandler[] = [
    async () => new Response('no'),
    async (request) => {
      await request.body!.cancel();
      return new Response('no');
    },
  ];
  for (const handler of handlers) {
    const bench = new Bench();
    const client = bench.request(handler, { method: 'POST' });
    for (let piece = 0; piece < 50; piece++) client.send('x'.repeat(10_000));
    client.end();
    await bench.until(() => client.ended);
    assert.equal(client.body.toString(), 'no');
  }
});

test('a client that goes away half way fails the read and the signal', async () => {
  const bench = new Bench();
  const told: string[] = [];
  const client = bench.request(
    async (request) => {
      request.signal.addEventListener('abort', () => told.push('signal'));
      await request.text().catch((error: Error) => told.push(error.name));
      return new Response('nobody reads this');
    },
    { method: 'POST' },
  );
  client.send('half');
  await bench.until(() => true);
  client.abort(8);
  await bench.until(() => told.length === 2);
  assert.deepEqual(told.sort(), ['AbortError', 'signal']);
  assert.deepEqual(bench.logged, []);
});

test('the signal of a request that was lost already is aborted, and a copy has the same', async () => {
  const bench = new Bench();
  let signals: AbortSignal[] = [];
  let lost = false;
  const client = bench.request(async (request) => {
    while (!lost) await turn();
    signals = [request.signal, request.clone().signal];
    assert.ok(request instanceof Request);
    return new Response(null);
  });
  await bench.until(() => true);
  client.abort(8);
  bench.world.pass(10);
  lost = true;
  await bench.until(() => signals.length === 2);
  assert.deepEqual(
    signals.map(({ aborted }) => aborted),
    [true, true],
  );
});

test('whoever may no longer see it gets no more of it', async () => {
  const bench = new Bench();
  let aborted = false;
  const client = bench.request((request) => {
    request.signal.addEventListener('abort', () => (aborted = true));
    return new Response(new ReadableStream({ start: (controller) => controller.enqueue(Buffer.from('a')) }));
  });
  await bench.until(() => client.body.length === 1);
  client.link.far.leave(REVOKED, 1_000);
  await bench.until(() => aborted && client.failed !== null);
});

test('reads into the reader’s own buffers work (Streams §3.5)', async () => {
  const client = await new Bench().answer(
    async (request) => {
      const reader = request.body!.getReader({ mode: 'byob' });
      let text = '';
      for (;;) {
        const { done, value } = await reader.read(new Uint8Array(3));
        if (done) return new Response(text);
        text += `${Buffer.from(value).toString()}|`;
      }
    },
    { method: 'POST' },
    'abcdefgh',
  );
  assert.equal(client.body.toString(), 'abc|def|gh|');
});
