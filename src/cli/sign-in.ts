// As whom a command comes to a server: flags, then the URL, then the environment. A password or token is not an argument
// where that can be helped, since every program on the machine can read those.
import type { Command } from 'commander';
import { isLoopback } from '../core/peer.ts';
import type { Place } from './channel.ts';
import { complain, EXIT, fail } from './output.ts';
import { knownPassword } from './prompt.ts';
import { isSecure, type TlsFlags } from './tls-flags.ts';

export interface SignInFlags extends TlsFlags {
  readonly user?: string;
  readonly token?: string;
}

export type SchemedPlace = Place & { readonly scheme: string };

export function addSignIn(command: Command): Command {
  return command
    .option('--user <name>', 'sign in; the password is PORTICO_PASSWORD, or asked for')
    .option('--token <token>', 'sign in with a token; better in PORTICO_TOKEN, where other programs do not see it');
}

interface SignIn {
  readonly user: string;
  readonly password: string;
  readonly token: string;
}

/** Puts into a place who signs in there. Ends the command when that cannot be. */
export async function signedIn(place: SchemedPlace, flags: SignInFlags): Promise<SchemedPlace> {
  if (place.scheme === 'udp') {
    if (flags.user !== undefined || flags.token !== undefined)
      fail('udp: has no way to sign in; use tcp:, mqtt:, http: or ws:', EXIT.usage);
    return place;
  }
  const signIn = await chosen(place, flags);
  const { user, password, token } = signIn;
  const secret = password !== '' || token !== '';
  if ((place.scheme === 'tcp' || place.scheme === 'tls') && token !== '' && user === '')
    fail('lines sign in by a name: say whose token it is with --user', EXIT.usage);
  if (secret && !isSecure(place.scheme) && !isHere(place.host))
    complain(`what signs in goes to ${place.host} in the clear; use https:, wss:, mqtts: or tls:`);
  return { ...place, ...signIn };
}

async function chosen(place: Pick<Place, 'user' | 'password'>, flags: SignInFlags): Promise<SignIn> {
  const { PORTICO_USER, PORTICO_PASSWORD = '', PORTICO_TOKEN = '' } = process.env;
  const { user = place.user || (PORTICO_USER ?? '') } = flags;
  if (flags.token !== undefined) return { user, password: '', token: flags.token };
  // A name with its password in the URL is all that there is to say.
  if (flags.user === undefined && place.password !== '') return { user, password: place.password, token: '' };
  if (PORTICO_TOKEN !== '') return { user, password: '', token: PORTICO_TOKEN };
  if (user === '' || PORTICO_PASSWORD !== '') return { user, password: user === '' ? '' : PORTICO_PASSWORD, token: '' };
  // Without a terminal the name alone is given, which is enough where there are no accounts yet.
  const asks = flags.user !== undefined && process.stdin.isTTY;
  return { user, password: asks ? await knownPassword(false, user) : '', token: '' };
}

/** The field of HTTP for a URL that is not of topics; null where nobody signs in. */
export async function authorizationFor(url: URL, flags: SignInFlags): Promise<string | null> {
  const scheme = url.protocol.slice(0, -1);
  const user = decodeURIComponent(url.username);
  const password = decodeURIComponent(url.password);
  const place = { scheme, host: url.hostname, port: 0, topic: '', user, password, token: '', tls: null };
  return authorizationOf(await signedIn(place, flags));
}

/** Null where nobody signs in. */
export function authorizationOf({ user, password, token }: SignIn): string | null {
  if (token !== '') return `Bearer ${token}`;
  if (user === '' && password === '') return null;
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

function isHere(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost') || isLoopback(host.replace(/^\[|\]$/g, ''));
}
