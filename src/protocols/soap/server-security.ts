// Who a message is from, by its UsernameToken (WS-Security UsernameToken Profile 1.1): names and passwords are the accounts' to
// check; what was sent once with a nonce is not taken again.
import type { Caller } from '../../core/caller.ts';
import type { Fault } from '../../core/fault.ts';
import type { Bound } from '../../core/limits.ts';
import type { Peer } from '../../core/peer.ts';
import type { Clock } from '../../core/time.ts';
import type { Accounts, SignInRefusal, SignInWaiter } from '../../resources/accounts/contract.ts';
import type { UsernameToken } from './codec.ts';
import { faults } from './faults.ts';
import type { limits } from './limits.ts';

/** Why a token lets nobody in, closer than a fault says. */
export interface TokenRefusal {
  readonly fault: Fault | null;
  /** Of the accounts; null where the token itself is at fault. */
  readonly refused: SignInRefusal | null;
}

export type TokenAnswer = Caller | TokenRefusal;

export function isTokenRefusal(answer: TokenAnswer): answer is TokenRefusal {
  return 'refused' in answer;
}

const NONCE_BYTES_MAX = 256;

export class TokenSignIn implements SignInWaiter {
  private readonly accounts: Accounts;
  private readonly limits: Bound<typeof limits>;
  private readonly clock: Clock;
  /** Nonces with their name and time, and until when they are remembered; the oldest first. */
  private readonly seen = new Map<string, number>();
  /** Sign-ins that are being checked; the accounts bound how many. */
  private readonly waiting = new Map<number, (answer: Caller | SignInRefusal) => void>();
  private last = 0;

  constructor(accounts: Accounts, bound: Bound<typeof limits>, clock: Clock) {
    this.accounts = accounts;
    this.limits = bound;
    this.clock = clock;
  }

  /** Who it is, or why not; null when `later` will be told. */
  callerOf(token: UsernameToken, peer: Peer, later: (answer: TokenAnswer) => void): TokenAnswer | null {
    const { wall } = this.clock;
    const { username: account, password, type, nonce, created } = token;
    const { tokenAgeMs } = this.limits;
    if (created !== null && !(Math.abs(created - wall) <= tokenAgeMs)) return STALE;
    if (nonce.length > NONCE_BYTES_MAX || (nonce !== '' && this.wasSeen(token, wall))) return STALE;
    // Without accounts any name is let in from this machine, whatever it shows; else a digest is of a password that is not kept.
    if (type === 'digest' && !this.accounts.open) return UNSUPPORTED;
    const number = ++this.last;
    const answer = this.accounts.signIn({ kind: 'password', account, password }, peer, 'soap', this, number);
    if (answer !== null) return this.answered(token, answer);
    this.waiting.set(number, (checked) => later(this.answered(token, checked)));
    return null;
  }

  signedIn(number: number, answer: Caller | SignInRefusal): void {
    const tell = this.waiting.get(number);
    this.waiting.delete(number);
    tell?.(answer);
  }

  private answered(token: UsernameToken, answer: Caller | SignInRefusal): TokenAnswer {
    if ('refused' in answer) return { fault: null, refused: answer };
    if (token.nonce === '') return answer;
    // Only who was let in takes room here. What was sent twice at once was let in once.
    const { wall } = this.clock;
    if (this.wasSeen(token, wall) || !this.remember(token, wall)) return STALE;
    return answer;
  }

  private wasSeen(token: UsernameToken, wall: number): boolean {
    const until = this.seen.get(keyOf(token));
    return until !== undefined && until > wall;
  }

  private remember(token: UsernameToken, wall: number): boolean {
    const { seen } = this;
    for (const [key, until] of seen) {
      if (until > wall) break;
      seen.delete(key);
    }
    if (seen.size >= this.limits.noncesMax) return false;
    // As long as its time would be taken, from whichever end of it it came.
    seen.delete(keyOf(token));
    seen.set(keyOf(token), wall + 2 * this.limits.tokenAgeMs);
    return true;
  }
}

function keyOf({ username, nonce, createdText }: UsernameToken): string {
  return `${nonce}\n${createdText}\n${username}`;
}

const STALE: TokenRefusal = { fault: faults.securityStale, refused: null };
const UNSUPPORTED: TokenRefusal = { fault: faults.securityUnsupported, refused: null };
