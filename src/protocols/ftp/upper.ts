// What the session asks of whoever knows accounts, files and the way out. Each verb answers once, at once or later, by `then`;
// not at all once the connection is gone: what was opened for nobody is let go of there.
import type { Outcome } from '../../core/outcome.ts';
import type { Address } from '../../core/peer.ts';
import type { Pipe, Session } from '../../core/pipe.ts';
import type { Source } from '../../core/sink.ts';
import type { Instant } from '../../core/time.ts';
import type { TlsPolicy } from '../../core/tls.ts';

/** A file or folder as listings show it. Paths are from the root and without it: `reports/a.txt`. */
export interface FileFacts {
  readonly name: string;
  readonly folder: boolean;
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly modified: number;
  /** Told apart from whatever else has or had that name. */
  readonly unique: string;
  /** The nine bits. */
  readonly mode: number;
  /** Whether the caller may change it, and what is in it. */
  readonly writable: boolean;
  /** Whether the caller may remove and rename it. */
  readonly removable: boolean;
}

/** A file that is read. */
export interface OpenFile extends Source {
  readonly size: number;
  /** Its descriptor, where the kernel may send from it; -1 where not. */
  readonly fd: number;
  close(): void;
}

/** A file on its way in, that appears whole on `commit`. */
export interface IncomingFile {
  /** Copies what fits and answers how much that was; fewer than offered means full: wait for `onRoom`. */
  write(input: Uint8Array, start: number, end: number): number;
  onRoom: (() => void) | null;
  /** What came is on the disk, and not visible yet. */
  sync(then: (outcome: Outcome) => void): void;
  /** Makes it durable and visible. */
  commit(then: (outcome: Outcome) => void): void;
  /** Keeps what came, to be continued. */
  suspend(): void;
}

export type Change =
  | { readonly do: 'make' | 'remove-folder' | 'remove-file'; readonly path: string }
  | { readonly do: 'rename'; readonly path: string; readonly to: string }
  | { readonly do: 'touch'; readonly path: string; readonly modified: number };

/** A folder that is listed part by part, in bounded memory. */
export interface FolderPages {
  /** None at the end. One call at a time. */
  next(then: (entries: readonly FileFacts[]) => void): void;
  close(): void;
}

/** How a file is begun: anew; anew where nothing is; at an offset of what came of it, or of what is there; behind all that. */
export type Beginning = 'new' | 'fresh' | 'resume' | 'append';

export const ALGORITHMS = ['SHA-256', 'SHA-512', 'SHA-1', 'MD5', 'CRC32'] as const;
export type Algorithm = (typeof ALGORITHMS)[number];

/** Who asks for a data connection is told of it by these. */
export interface DataWanted {
  connected(pipe: Pipe): Session;
  /** The port that is listened on, or null. */
  listening(port: number | null): void;
  /** Nobody came in time, or nobody answered. */
  failed(): void;
}

export interface Upper {
  /** `text` says why not. */
  signIn(name: string, password: string, then: (outcome: Outcome, text: string) => void): void;
  /** By the certificate that TLS has verified, if there is one and it is that account's; false where it takes a password. */
  signInByCertificate(name: string, then: (signedIn: boolean) => void): void;
  /** Whoever signed in has nothing to do with what follows. */
  signOut(): void;
  /** The folder in which somebody begins. */
  home(then: (path: string) => void): void;
  /** With `uploads`, what came of an upload of the same account is there, with its size. */
  stat(path: string, uploads: boolean, then: (outcome: Outcome, facts: FileFacts | null) => void): void;
  list(path: string, then: (outcome: Outcome, folder: FolderPages | null) => void): void;
  change(change: Change, then: (outcome: Outcome) => void): void;
  open(path: string, then: (outcome: Outcome, file: OpenFile | null) => void): void;
  create(
    path: string,
    beginning: Beginning,
    offset: number,
    then: (outcome: Outcome, file: IncomingFile | null) => void,
  ): void;
  /** Of the bytes from `start`, up to `end` or the file's own. */
  hash(
    path: string,
    algorithm: Algorithm,
    start: number,
    end: number,
    then: (outcome: Outcome, hex: string, end: number) => void,
  ): void;
  /** Listens once on a port of the configured range. */
  listen(from: Address, until: Instant, wanted: DataWanted): void;
  /** Answers how to give up. */
  dial(to: Address, wanted: DataWanted): () => void;
  /** On which terms the control connection turns to TLS; null: it does not. The same value for its data connections. */
  readonly tls: TlsPolicy | null;
  /** Whether a name is one of this server's (RFC 7151). */
  knowsHost(name: string): boolean;
  /** The address that 227 tells; the listener's own when ''. */
  readonly advertised: string;
  /** The connection is gone. */
  gone(): void;
}

/** What the configuration says. */
export interface FtpRules {
  /** Nobody signs in without TLS. */
  readonly requireTls: boolean;
  /** Data travel within TLS only. */
  readonly protectData: boolean;
  /** A data connection must go on with the TLS session of its control connection. */
  readonly resumeData: boolean;
}
