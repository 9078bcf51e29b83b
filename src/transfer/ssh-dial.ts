// A connection of SSH by ssh2's client, and on it the channel of a subsystem as a pipe. Who the server is, is the caller's to
// judge, before anything secret is said.
import type { Duplex } from 'node:stream';
import ssh2, { type ConnectConfig } from 'ssh2';
import type { Peer } from '../core/peer.ts';
import type { Pipe, Session } from '../core/pipe.ts';
import { NO_EVENTS } from '../core/stream-pipe.ts';
import { turn } from '../exports/loop.ts';
import { type Channel, ChannelPipe } from '../protocols/ssh/channel-pipe.ts';
import { TransferError } from './remote.ts';

export interface SshKey {
  readonly text: string;
  readonly passphrase: string;
}

export interface SshPlace {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Socket of an agent; `''` for none. */
  readonly agent: string;
  readonly keys: readonly SshKey[];
  /** Asked for once all else was refused; null when there is none. */
  password(): Promise<string | null>;
  /** Kinds of keys that the server is known by. */
  readonly types: readonly string[];
  /** Whether a server with this key is the one that is meant. */
  judge(key: Buffer): Promise<boolean>;
}

const READY_MS = 60_000;

/** Resolves with a function that ends the connection, once the session is on its channel. */
export function dialSsh(place: SshPlace, name: string, made: (pipe: Pipe) => Session): Promise<() => void> {
  const client = new ssh2.Client();
  let refused = '';
  return new Promise((resolve, reject) => {
    const fail = (error: Error & { level?: string }) => {
      const where = `${place.host}:${place.port}`;
      if (refused !== '') reject(new TransferError('refused', refused));
      else if (error.level === 'client-authentication')
        reject(new TransferError('refused', `${where} lets ${place.user} in by no key and no password that there is`));
      else reject(new TransferError('lost', `${where}: ${error.message}`));
    };
    client.on('error', fail);
    client.on('close', () => fail(new Error('the connection was lost')));
    client.on('ready', () => {
      client.subsys(name, (error, channel) => {
        if (error !== undefined) {
          client.end();
          reject(new TransferError('refused', `${place.host} has no ${name}: ${error.message}`));
          return;
        }
        const pipe = new ChannelPipe(asChannel(channel as unknown as Duplex), peerOf(place), turn, NO_EVENTS, {
          inputMax: 2_097_152,
        });
        pipe.begin(made(pipe));
        resolve(() => client.end());
      });
    });
    client.connect(
      configOf(place, (why) => {
        refused = why;
      }),
    );
  });
}

function configOf(place: SshPlace, refuse: (why: string) => void): ConnectConfig {
  const { host, port, user, types } = place;
  return {
    host,
    port,
    username: user,
    readyTimeout: READY_MS,
    keepaliveInterval: 30_000,
    ...(place.agent === '' ? {} : { agent: place.agent }),
    hostVerifier: (key: Buffer, verify: (isMeant: boolean) => void) => {
      place.judge(key).then(verify, (error: Error) => {
        refuse(error.message);
        verify(false);
      });
    },
    authHandler: waysOf(place) as never,
    // A server that is known by one kind of key is not to show another.
    ...(types.length === 0
      ? {}
      : { algorithms: { serverHostKey: { prepend: keyAlgorithms(types), append: [], remove: [] } as never } }),
  };
}

function keyAlgorithms(types: readonly string[]): string[] {
  return types.flatMap((type) => (type === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256'] : [type]));
}

/** Each way once: the agent, keys, then the password, by either method that servers have for it. */
function waysOf(place: SshPlace) {
  const { user: username } = place;
  const ways: object[] = [{ type: 'none', username }];
  if (place.agent !== '') ways.push({ type: 'agent', username, agent: place.agent });
  for (const { text, passphrase } of place.keys)
    ways.push({ type: 'publickey', username, key: text, ...(passphrase === '' ? {} : { passphrase }) });
  let password: Promise<string | null> | null = null;
  const tried = new Set<string>();
  return (left: readonly string[] | null, _partial: boolean, next: (way: object | false) => void) => {
    const way = ways.shift();
    if (way !== undefined) {
      next(way);
      return;
    }
    const method = ['password', 'keyboard-interactive'].find(
      (each) => !tried.has(each) && left?.includes(each) !== false,
    );
    if (method === undefined) {
      next(false);
      return;
    }
    tried.add(method);
    password ??= place.password();
    void password.then((word) => {
      if (word === null) next(false);
      else if (method === 'password') next({ type: 'password', username, password: word });
      else
        next({
          type: 'keyboard-interactive',
          username,
          prompt: (_name: string, _text: string, _lang: string, asked: unknown[], answer: (words: string[]) => void) =>
            answer(asked.map(() => word)),
        });
    });
  };
}

/** Only a server's end of a channel tells what a program ended with. */
function asChannel(channel: Duplex): Channel {
  return Object.assign(channel, { exit() {} }) as unknown as Channel;
}

function peerOf({ host, port }: SshPlace): Peer {
  return { carrier: 'ssh', remote: { host, port }, local: null, tls: null, below: null, stream: null };
}
