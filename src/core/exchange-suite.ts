// What every HTTP exchange must do, whichever version carries it: joined by the simulated one now, by HTTP/1.1, 2 and 3
// later. It is imported by tests only.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BodyReader, Exchange, ExchangeEvents, ExchangeHandler } from './exchange.ts';
import { Fields } from './fields.ts';
import { type Pipe, SHUTDOWN, type Why } from './pipe.ts';
import { Recorder } from './pipe-suite.ts';

/** A request that a client has begun. */
export interface ClientExchange {
  send(bytes: string | Buffer): void;
  end(): void;
  abort(wire: number): void;
  requestTrailers: Fields | null;
  readonly informs: readonly number[];
  /** 0 until the head has arrived. */
  readonly status: number;
  readonly fields: Fields;
  readonly length: number | undefined;
  readonly body: Buffer;
  readonly trailers: Fields | null;
  readonly ended: boolean;
  readonly failed: string | null;
}

export interface ExchangesUnderTest {
  /** Begins a request to a handler; the body follows by `send` and `end`. */
  request(handler: ExchangeHandler, head: { method: string; target: string; fields?: Fields }): ClientExchange;
  until(done: () => boolean): Promise<void>;
  /** How a pipe is asked for, and what says that it is given; Upgrade's when absent. */
  readonly takes?: { readonly method: string; readonly status: number };
  /** More than is queued at once; 2 MB when absent. */
  readonly largeBytes?: number;
  /** Asks the server's side to leave. */
  leave(client: ClientExchange, why: Why): void;
  readonly bugs: unknown[];
}

const UPGRADES = { method: 'GET', status: 101 };

class Reader implements BodyReader {
  text = '';
  total = 0;
  readonly told: string[] = [];
  fields: Fields | null = null;
  onFinish = () => {};

  receive(input: Uint8Array, start: number, end: number): number {
    this.total += end - start;
    if (this.text.length < 10_000) this.text += Buffer.from(input.subarray(start, end)).toString('latin1');
    return end;
  }

  trailers(fields: Fields): void {
    this.told.push('trailers');
    this.fields = fields;
  }

  finish(): void {
    this.told.push('finish');
    this.onFinish();
  }

  lost(): void {
    this.told.push('lost');
  }
}

function eventsInto(told: string[]): ExchangeEvents {
  return {
    writable: () => void told.push('writable'),
    tick: () => void told.push('tick'),
    leave: (why) => void told.push(`leave ${why}`),
    lost: (cause) => void told.push(`lost ${cause}`),
  };
}

function answer(exchange: Exchange, status: number, text: string): void {
  const bytes = Buffer.from(text);
  exchange.respond(status, Fields.of({ 'content-type': 'text/plain' }), bytes.length);
  exchange.share(bytes, 0, bytes.length);
  exchange.flush();
  exchange.end();
}

/** Runs the suite against the exchanges that `make` makes. */
export function exchangeSuite(name: string, make: () => ExchangesUnderTest): void {
  const on = (what: string, run: (under: ExchangesUnderTest) => Promise<void>): void =>
    void test(`${name}: ${what}`, { timeout: 20_000 }, async () => {
      const under = make();
      await run(under);
      assert.deepEqual(under.bugs, []);
    });
  answers(on);
  bodies(on);
  lives(on);
}

type On = (what: string, run: (under: ExchangesUnderTest) => Promise<void>) => void;

function answers(on: On): void {
  on('a head, a body of known length, an end', async ({ request, until }) => {
    const told: string[] = [];
    const client = request(
      (exchange) => {
        exchange.on = eventsInto(told);
        answer(exchange, 200, `${exchange.method} ${exchange.target} ${exchange.fields.get('x-test')}`);
      },
      { method: 'GET', target: '/a?b', fields: Fields.of({ 'X-Test': 'yes' }) },
    );
    client.end();
    await until(() => client.ended);
    assert.equal(client.status, 200);
    assert.equal(client.fields.get('content-type'), 'text/plain');
    assert.equal(client.body.toString(), 'GET /a?b yes');
    await until(() => told.length > 0);
    assert.deepEqual(told, ['lost ended']);
  });

  on('interim answers, a body of unknown length, trailers', async ({ request, until }) => {
    const client = request(
      (exchange) => {
        exchange.inform(103, Fields.of({ link: '</a.css>' }));
        exchange.respond(200, new Fields());
        for (let index = 0; index < 100; index++) exchange.out.ascii(`${index},`);
        exchange.flush();
        exchange.end(Fields.of({ digest: 'x' }));
      },
      { method: 'GET', target: '/' },
    );
    client.end();
    await until(() => client.ended);
    assert.deepEqual(client.informs, [103]);
    assert.equal(client.body.toString(), Array.from({ length: 100 }, (_, index) => `${index},`).join(''));
    assert.equal(client.trailers?.get('digest'), 'x');
  });

  on('what is put off until the turn ends leaves with it, behind what was written', async ({ request, until }) => {
    let gathered = 0;
    const client = request(
      (exchange) => {
        exchange.on = {
          ...eventsInto([]),
          gather: () => {
            gathered++;
            exchange.out.ascii('last');
            if (gathered === 1) return;
            exchange.end();
          },
          tick: () => {
            exchange.out.ascii(' first ');
            exchange.flush();
          },
        };
        exchange.respond(200, new Fields());
        exchange.flush();
        exchange.deadline = 0.001;
      },
      { method: 'GET', target: '/' },
    );
    client.end();
    await until(() => client.ended);
    assert.equal(client.body.toString(), 'last first last');
  });

  on(
    'a large answer waits for a client that does not read faster',
    async ({ request, until, largeBytes = 2_000_000 }) => {
      const piece = Buffer.alloc(10_000, 'p');
      let left = largeBytes / piece.length;
      const told: string[] = [];
      const client = request(
        (exchange) => {
          const write = () => {
            for (; left > 0 && exchange.room > 0; left--) exchange.share(piece, 0, piece.length);
            exchange.flush();
            if (left === 0) exchange.end();
          };
          exchange.on = { ...eventsInto(told), writable: write };
          exchange.respond(200, new Fields(), largeBytes);
          write();
          assert.ok(left > 0, 'everything was queued at once');
        },
        { method: 'GET', target: '/' },
      );
      client.end();
      await until(() => client.ended);
      assert.equal(client.body.length, largeBytes);
    },
  );
}

function bodies(on: On): void {
  on('a body is read as it comes, with its trailers before its end', async ({ request, until }) => {
    const reader = new Reader();
    const client = request(
      (exchange) => {
        exchange.body(reader);
        reader.onFinish = () => answer(exchange, 201, 'made');
      },
      { method: 'POST', target: '/' },
    );
    for (let index = 0; index < 50; index++) client.send('x'.repeat(1_000));
    await until(() => reader.total === 50_000);
    assert.equal(client.status, 0);
    client.requestTrailers = Fields.of({ checksum: '1' });
    client.end();
    await until(() => client.ended);
    assert.deepEqual(reader.told, ['trailers', 'finish']);
    assert.equal(reader.fields?.get('checksum'), '1');
    assert.equal(client.status, 201);
  });

  on('a body that nobody reads is discarded', async ({ request, until }) => {
    const client = request((exchange) => answer(exchange, 413, 'no'), { method: 'POST', target: '/' });
    client.send('x'.repeat(50_000));
    client.end();
    await until(() => client.status === 413 && client.body.toString() === 'no');
  });

  on('a paused body holds the sender back and goes on', async ({ request, until }) => {
    const reader = new Reader();
    let exchange!: Exchange;
    const client = request(
      (made) => {
        exchange = made;
        made.body(reader);
        reader.onFinish = () => answer(made, 200, 'done');
      },
      { method: 'PUT', target: '/' },
    );
    client.send('x');
    await until(() => reader.total === 1);
    exchange.pause();
    client.send('y'.repeat(300_000));
    client.end();
    for (let round = 0; round < 20; round++) await until(() => true);
    const before = reader.total;
    assert.ok(before <= 1 + 65_536, `${before} bytes came while it was paused`);
    exchange.resume();
    await until(() => client.ended);
    assert.equal(reader.total, 300_001);
  });
}

function lives(on: On): void {
  on('a client that goes away is told to the reader and to the exchange', async ({ request, until }) => {
    const reader = new Reader();
    const told: string[] = [];
    const client = request(
      (exchange) => {
        exchange.body(reader);
        exchange.on = eventsInto(told);
      },
      { method: 'PUT', target: '/' },
    );
    client.send('half');
    await until(() => reader.total === 4);
    client.abort(8);
    await until(() => told.length > 0);
    assert.deepEqual(reader.told, ['lost']);
    assert.deepEqual(told, ['lost reset']);
  });

  on('an answer that fails is seen not to be complete', async ({ request, until }) => {
    const client = request(
      (exchange) => {
        exchange.respond(200, new Fields(), 100);
        exchange.out.ascii('part');
        exchange.flush();
        exchange.on = { ...eventsInto([]), tick: () => exchange.reset(2) };
        exchange.deadline = 0.001;
      },
      { method: 'GET', target: '/' },
    );
    client.end();
    await until(() => client.failed !== null);
    assert.equal(client.ended, false);
  });

  on('a deadline and a leave are told', async ({ request, until, leave }) => {
    const told: string[] = [];
    const client = request(
      (exchange) => {
        exchange.on = eventsInto(told);
        exchange.deadline = 0.001;
      },
      { method: 'GET', target: '/' },
    );
    await until(() => told.includes('tick'));
    leave(client, SHUTDOWN);
    await until(() => told.length > 1);
    assert.deepEqual(told, ['tick', `leave ${SHUTDOWN}`]);
  });

  on('take hands the pipe over, both ways', async ({ request, until, takes = UPGRADES }) => {
    let session: Recorder | undefined;
    const { method, status } = takes;
    const client = request(
      (exchange) => exchange.take(status, Fields.of({ upgrade: 'x' }), (pipe: Pipe) => (session = new Recorder(pipe))),
      { method, target: '/' },
    );
    await until(() => client.status === status);
    client.send('raw bytes');
    await until(() => session?.text === 'raw bytes');
    session!.say('back');
    await until(() => client.body.toString() === 'back');
  });
}
