// Accounts in a simulated world, with hashes that cost nothing and are counted: for tests.
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import type { Caller } from '../../../core/caller.ts';
import { SILENT } from '../../../core/log.ts';
import type { Peer } from '../../../core/peer.ts';
import { ALL, NONE } from '../../../core/permissions.ts';
import { SimulatedDisk } from '../../../sim/disk.ts';
import { World } from '../../../sim/world.ts';
import { MemoryEngine } from '../../../storage/memory/engine.ts';
import { type AccountsOptions, openAccounts, type RuleBook, type StoredAccounts } from '../accounts.ts';
import { type Credentials, isSignInRefusal, type SignInRefusal } from '../contract.ts';
import { Desk } from '../desk.ts';
import type { Answer } from '../orders.ts';
import { type Derive, Hashing } from '../passwords.ts';

export const peerOf = (host: string, more: Partial<Peer> = {}): Peer => ({
  carrier: 'tcp',
  remote: { host, port: 40_000 },
  local: { host: '127.0.0.1', port: 1883 },
  tls: null,
  below: null,
  stream: null,
  ...more,
});

const TLS = { version: 'TLSv1.3', cipher: 'any', alpn: null, serverName: null, certificate: null };

export const LOCAL = peerOf('127.0.0.1');
export const STRANGER = peerOf('203.0.113.7', { carrier: 'tls', tls: TLS });
export const inTls = (host: string): Peer => peerOf(host, { carrier: 'tls', tls: TLS });

/** Rules that let each account do all, and write down what they were given. */
export class AllRules implements RuleBook {
  epoch = 0;
  grantsAnonymous = false;
  rules: readonly unknown[] = [];
  groupsOf: (account: string) => readonly string[] | null = () => null;

  replace(rules: readonly unknown[], groups: { groupsOf(account: string): readonly string[] | null }): void {
    this.epoch++;
    this.rules = rules;
    this.groupsOf = (account) => groups.groupsOf(account);
  }

  may(caller: Caller): boolean {
    return this.groupsOf(caller.account) !== null;
  }

  covers(caller: Caller): typeof ALL | typeof NONE {
    return this.may(caller) ? ALL : NONE;
  }
}

export class House {
  readonly world: World;
  readonly disk: SimulatedDisk;
  readonly rules = new AllRules();
  engine: MemoryEngine;
  hashing!: Hashing;
  accounts!: StoredAccounts;
  desk!: Desk;
  /** Hashes that were begun and are not done, while `held` is true. */
  readonly waiting: (() => void)[] = [];
  held = false;
  private readonly more: Partial<AccountsOptions>;

  constructor(seed: number, more: Partial<AccountsOptions>) {
    this.world = new World(seed);
    this.disk = new SimulatedDisk(this.world, { mostMs: 0.5 });
    this.engine = new MemoryEngine(this.disk);
    this.more = more;
  }

  static async open(more: Partial<AccountsOptions> = {}, seed = 1): Promise<House> {
    const house = new House(seed, more);
    await house.begin();
    return house;
  }

  /** Kills the process and starts another over what was committed. */
  async crash(): Promise<void> {
    this.engine = this.engine.restarted();
    await this.begin();
  }

  /** As argon2id, but for the cost. */
  readonly derive: Derive = (password, { salt }, bytes, done) => {
    const step = () => done(hash('sha512', Buffer.concat([salt, Buffer.from(password)]), 'buffer').subarray(0, bytes));
    if (this.held) this.waiting.push(step);
    else this.world.soon(step);
  };

  private async begin(): Promise<void> {
    this.hashing = new Hashing(this.derive);
    const { engine, hashing, rules, world } = this;
    const { turn, random } = world;
    const options = { engine, turn, log: SILENT, rules, exposed: false, hashing, entropy: random, ...this.more };
    this.accounts = await this.settle(openAccounts(options));
    this.desk = new Desk(this.accounts);
  }

  /** Lets simulated time and promises go on until a promise is done. */
  async settle<Value>(promise: Promise<Value>): Promise<Value> {
    let over = false;
    const done = promise.finally(() => {
      over = true;
    });
    done.catch(() => {});
    while (!over) {
      this.world.pass(1);
      await new Promise((resolve) => setImmediate(resolve));
    }
    return done;
  }

  async pass(ms: number): Promise<void> {
    for (let step = 0; step < 10; step++) {
      this.world.pass(ms / 10);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  order(what: string, fields: Readonly<Record<string, unknown>> = {}): Promise<Answer> {
    return this.settle(this.desk.order({ do: what, ...fields }, 'command'));
  }

  /** Orders, and it has to go well. */
  async do(what: string, fields: Readonly<Record<string, unknown>> = {}): Promise<Readonly<Record<string, unknown>>> {
    const answer = await this.order(what, fields);
    assert.ok(answer.ok, answer.ok ? '' : answer.error);
    return answer;
  }

  signIn(credentials: Credentials, peer: Peer = LOCAL, protocol = 'test'): Promise<Caller | SignInRefusal> {
    return this.settle(
      new Promise((resolve) => {
        const waiter = { signedIn: (_token: number, answer: Caller | SignInRefusal) => resolve(answer) };
        const answer = this.accounts.signIn(credentials, peer, protocol, waiter, 1);
        if (answer !== null) resolve(answer);
      }),
    );
  }

  password(account: string, password: string, peer: Peer = LOCAL, code?: string): Promise<Caller | SignInRefusal> {
    return this.signIn({ kind: 'password', account, password, ...(code === undefined ? {} : { code }) }, peer);
  }

  /** Signs in, and it has to go well. */
  async enter(credentials: Credentials, peer: Peer = LOCAL): Promise<Caller> {
    const answer = await this.signIn(credentials, peer);
    assert.ok(!isSignInRefusal(answer), `refused: ${JSON.stringify(answer)}`);
    return answer;
  }

  /** What a sign-in was refused with; `in` when it was not. */
  async refusal(credentials: Credentials, peer: Peer = LOCAL): Promise<string> {
    const answer = await this.signIn(credentials, peer);
    return isSignInRefusal(answer) ? answer.refused : 'in';
  }

  async audit(): Promise<readonly Readonly<Record<string, unknown>>[]> {
    await this.pass(20);
    const { entries } = await this.do('audit.list');
    return entries as readonly Readonly<Record<string, unknown>>[];
  }
}
