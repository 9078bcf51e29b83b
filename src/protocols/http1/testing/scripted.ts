// A client's connection to a server that says what a test wants, wherever the bytes are cut; and what was told of each
// request.
import { Fields } from '../../../core/fields.ts';
import { bindLimits } from '../../../core/limits.ts';
import type { Cause, Pipe, Session } from '../../../core/pipe.ts';
import { NEVER } from '../../../core/time.ts';
import { type LinkOptions, linkPipes } from '../../../sim/pipes.ts';
import { World } from '../../../sim/world.ts';
import { Http1Client } from '../client.ts';
import type { AnswerEvents, ClientExchange, ClientRequest } from '../client-exchange.ts';
import { clientLimits } from '../client-limits.ts';

/** Keeps what came, and sends what it is given. */
export class Peer implements Session {
  readonly deadline = NEVER;
  got = '';
  ended = false;
  lostBy: Cause | null = null;
  readonly pipe: Pipe;
  /** Called with all that came so far, after each piece. */
  hears: (got: string) => void = () => {};

  constructor(pipe: Pipe) {
    this.pipe = pipe;
  }

  says(text: string | Buffer): void {
    const bytes = typeof text === 'string' ? Buffer.from(text, 'latin1') : text;
    this.pipe.share(bytes, 0, bytes.length);
    this.pipe.flush();
  }

  receive(input: Uint8Array, start: number, end: number): number {
    this.got += Buffer.from(input.subarray(start, end)).toString('latin1');
    this.hears(this.got);
    return end;
  }

  finish(): void {
    this.ended = true;
    this.pipe.end();
  }

  lost(cause: Cause): void {
    this.lostBy = cause;
  }

  overlong(): void {}
  writable(): void {}
  tick(): void {}
  leave(): void {}
}

/** What is told of one request, as text. */
export class Told implements AnswerEvents {
  readonly told: string[] = [];
  body = Buffer.alloc(0);
  exchange: ClientExchange | null = null;
  /** Takes at most so much a piece, pausing between; 0 for all. */
  pauses = false;
  onBegun: () => void = () => {};

  begun(): void {
    this.told.push('begun');
    this.onBegun();
  }

  inform(status: number, fields: Fields): void {
    this.told.push(`${status}${shown(fields)}`);
  }

  answered(status: number, reason: string, fields: Fields) {
    this.told.push(`${status} ${reason}${shown(fields)}`);
    return {
      receive: (input: Uint8Array, start: number, end: number) => {
        const until = this.pauses ? start + 1 : end;
        this.body = Buffer.concat([this.body, input.subarray(start, until)]);
        if (this.pauses) {
          this.exchange!.pause();
          this.exchange!.resume();
        }
        return until;
      },
      trailers: (trailers: Fields) => void this.told.push(`trailers${shown(trailers)}`),
      finish: () => void this.told.push('whole'),
      lost: (cause: Cause) => void this.told.push(`lost ${cause}`),
    };
  }

  over(cause: Cause, fault: { id: string } | null, progress: string): void {
    this.told.push(`over ${cause}${fault === null ? '' : ` ${fault.id}`} ${progress}`);
  }

  get last(): string {
    return this.told.at(-1) ?? '';
  }
}

function shown({ list }: Fields): string {
  let text = '';
  for (let at = 0; at < list.length; at += 2) text += ` ${list[at]}=${list[at + 1]}`;
  return text;
}

export interface Scene {
  readonly world: World;
  readonly client: Http1Client;
  readonly server: Peer;
  readonly told: string[];
  ask(request: Partial<ClientRequest>, told?: Told): Told;
  pass(ms?: number): void;
}

export function scene(options: { cut?: number; limits?: Record<string, number>; link?: LinkOptions } = {}): Scene {
  const world = new World(7);
  const told: string[] = [];
  let client!: Http1Client;
  let server!: Peer;
  linkPipes(
    world,
    (pipe) =>
      (client = new Http1Client(pipe, world.turn, bindLimits(clientLimits, options.limits), {
        idle: () => void told.push('idle'),
        closed: (cause, fault) => void told.push(`closed ${cause}${fault === null ? '' : ` ${fault.id}`}`),
      })),
    (pipe) => (server = new Peer(pipe)),
    { ...(options.cut === undefined ? {} : { cut: options.cut }), ...options.link },
  );
  return {
    world,
    client,
    server,
    told,
    ask(request, of = new Told()) {
      of.exchange = client.send(
        { method: 'GET', target: '/', authority: 'a.test', fields: new Fields(), ...request },
        of,
      );
      return of;
    },
    pass: (ms = 100) => world.pass(ms),
  };
}
