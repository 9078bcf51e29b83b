// Passwords as they are kept: strings of the PHC format, argon2id (RFC 9106) for all that are made, scrypt (RFC 7914) to
// verify old ones. Hashing is for the thread pool, so many at once; more than may wait are refused. Knows no accounts.
import { argon2, scrypt, timingSafeEqual } from 'node:crypto';

/** What argon2id costs: KiB of memory, passes, lanes. */
export interface Cost {
  readonly memory: number;
  readonly passes: number;
  readonly lanes: number;
}

/** RFC 9106 §4, the second recommended option, with one lane: what runs beside it has the other core. */
export const COST: Cost = { memory: 65_536, passes: 3, lanes: 1 };

export const PASSWORD_SALT_BYTES = 16;
const HASH_BYTES = 32;

/** Where a stored string asks for more than this, somebody else wrote it. */
const MEMORY_MAX = 1_048_576;
const PASSES_MAX = 64;

export interface ParsedHash {
  readonly algorithm: 'argon2id' | 'scrypt';
  readonly cost: Cost;
  readonly salt: Buffer;
  readonly hash: Buffer;
}

const PHC =
  /^\$(?:argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,3}),p=(\d{1,3})|scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2}))\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/;

/** Reads a PHC string; null when it is none, or none that is verified here. */
export function parseHash(text: string): ParsedHash | null {
  const parts = PHC.exec(text);
  if (parts === null) return null;
  const salt = Buffer.from(parts[7]!, 'base64');
  const hash = Buffer.from(parts[8]!, 'base64');
  if (parts[1] !== undefined) {
    const cost = { memory: Number(parts[1]), passes: Number(parts[2]), lanes: Number(parts[3]) };
    const { memory, passes, lanes } = cost;
    if (lanes < 1 || passes < 1 || passes > PASSES_MAX || memory < 8 * lanes || memory > MEMORY_MAX) return null;
    return { algorithm: 'argon2id', cost, salt, hash };
  }
  const cost = { memory: Number(parts[4]), passes: Number(parts[5]), lanes: Number(parts[6]) };
  const { memory, passes, lanes } = cost;
  if (memory < 1 || passes < 1 || lanes < 1 || lanes > 16 || 128 * 2 ** memory * passes > MEMORY_MAX * 1_024)
    return null;
  return { algorithm: 'scrypt', cost, salt, hash };
}

/** The PHC string of an argon2id hash. */
export function formatHash({ memory, passes, lanes }: Cost, salt: Uint8Array, hash: Uint8Array): string {
  return `$argon2id$v=19$m=${memory},t=${passes},p=${lanes}$${unpadded(salt)}$${unpadded(hash)}`;
}

/** Whether a hash is weaker than, or other than, what is made now: it is made anew at the next sign-in. */
export function isOutdated({ algorithm, cost }: ParsedHash, now: Cost): boolean {
  if (algorithm !== 'argon2id') return true;
  return cost.memory !== now.memory || cost.passes !== now.passes || cost.lanes !== now.lanes;
}

function unpadded(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64').replaceAll('=', '');
}

type Derived = (hash: Buffer | null) => void;

/** Derives bytes in the thread pool. The tests put another in its place, which counts. */
export type Derive = (password: string, like: Omit<ParsedHash, 'hash'>, bytes: number, done: Derived) => void;

export const DERIVE: Derive = (password, { algorithm, cost, salt }, bytes, done) => {
  const { memory, passes, lanes } = cost;
  const after = (error: Error | null, derived: Buffer) => done(error === null ? derived : null);
  if (algorithm === 'scrypt') {
    const maxmem = 256 * 2 ** memory * passes + 1_048_576;
    scrypt(password, salt, bytes, { N: 2 ** memory, r: passes, p: lanes, maxmem }, after);
  } else {
    const parameters = { message: password, nonce: salt, parallelism: lanes, tagLength: bytes, memory, passes };
    argon2('argon2id', parameters, after);
  }
};

/** How many are hashed at once, how many may wait, and how many of one asker. */
export interface HashingBounds {
  readonly atOnce: number;
  readonly waiting: number;
  readonly ofOne: number;
}

/** Of the pool's four threads two stay free for files. 32 that wait are some 3 s of work. */
export const HASHING: HashingBounds = { atOnce: 2, waiting: 32, ofOne: 8 };

interface Job {
  readonly asker: string;
  readonly run: (done: () => void) => void;
}

/** Hashes and verifies, a bounded number at a time. */
export class Hashing {
  /** How often something was derived, ever. */
  derived = 0;
  readonly cost: Cost;
  private readonly derive: Derive;
  private readonly bounds: HashingBounds;
  private running = 0;
  private readonly waiting: Job[] = [];
  private readonly askers = new Map<string, number>();

  constructor(derive: Derive = DERIVE, cost: Cost = COST, bounds: HashingBounds = HASHING) {
    this.derive = derive;
    this.cost = cost;
    this.bounds = bounds;
  }

  /**
   * Whether a password is the one of a hash. False, without a call of `done`, when too many wait, of this asker or of all;
   * nobody counts as an asker of the name `''`. Null: there was not enough memory to tell.
   */
  verify(password: string, hash: ParsedHash, asker: string, done: (isRight: boolean | null) => void): boolean {
    return this.queue(asker, (finished) => {
      this.derive(password, hash, hash.hash.length, (derived) => {
        finished();
        done(derived === null ? null : timingSafeEqual(derived, hash.hash));
      });
    });
  }

  /** The PHC string of a password. For what an administrator does, or what follows a sign-in: it always has its turn. */
  make(password: string, salt: Uint8Array): Promise<string> {
    return new Promise((resolve, reject) => {
      const like = { algorithm: 'argon2id' as const, cost: this.cost, salt: Buffer.from(salt) };
      this.push({
        asker: '',
        run: (finished) => {
          this.derive(password, like, HASH_BYTES, (derived) => {
            finished();
            if (derived === null) reject(new Error('there is not enough memory to hash a password'));
            else resolve(formatHash(this.cost, salt, derived));
          });
        },
      });
    });
  }

  private queue(asker: string, run: Job['run']): boolean {
    const { waiting, ofOne } = this.bounds;
    if (this.waiting.length >= waiting) return false;
    if (asker !== '' && (this.askers.get(asker) ?? 0) >= ofOne) return false;
    this.push({ asker, run });
    return true;
  }

  private push(job: Job): void {
    if (job.asker !== '') this.askers.set(job.asker, (this.askers.get(job.asker) ?? 0) + 1);
    this.waiting.push(job);
    this.next();
  }

  private next(): void {
    while (this.running < this.bounds.atOnce && this.waiting.length > 0) {
      const { asker, run } = this.waiting.shift()!;
      this.running++;
      this.derived++;
      run(() => {
        this.running--;
        const left = (this.askers.get(asker) ?? 1) - 1;
        if (left > 0) this.askers.set(asker, left);
        else this.askers.delete(asker);
        this.next();
      });
    }
  }
}
