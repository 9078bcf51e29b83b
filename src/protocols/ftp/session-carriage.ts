// How data travel: TYPE, MODE, STRU, and where data connections are made (PASV, PORT; EPSV, EPRT of RFC 2428). They are made
// with the control connection's own peer and nobody else.
import type { Address } from '../../core/peer.ts';
import { DONE, type Step, WAIT } from '../text/session.ts';
import { hostPortText, plainHost, readExtendedPort, readHostPort } from './codec.ts';
import type { FtpSession } from './session.ts';
import type { Transfers } from './session-transfers.ts';

/** Below that are the ports of services: nobody has us talk to one. */
const PORT_LEAST = 1_024;

const NOWHERE: readonly string[] = ['::', '0.0.0.0'];

export class Carriage {
  /** TYPE A. */
  isText = true;
  onlyEpsv = false;
  private readonly session: FtpSession;
  private readonly transfers: Transfers;

  constructor(session: FtpSession, transfers: Transfers) {
    this.session = session;
    this.transfers = transfers;
  }

  forget(): void {
    this.isText = true;
    this.onlyEpsv = false;
  }

  run(verb: string, argument: string): Step {
    const { session } = this;
    switch (verb) {
      case 'TYPE':
        return this.type(argument.toUpperCase());
      case 'MODE':
        return argument.toUpperCase() === 'S' ? session.say(200, 'MODE S.') : session.say(504, 'There is MODE S.');
      case 'STRU':
        return argument.toUpperCase() === 'F' ? session.say(200, 'STRU F.') : session.say(504, 'There is STRU F.');
      case 'ALLO':
        return session.say(202, 'Nothing has to be allocated.');
      case 'PASV':
        return this.passive();
      case 'EPSV':
        return this.extendedPassive(argument.toUpperCase());
      case 'PORT':
        return this.active(readHostPort(argument));
      default:
        return this.extendedActive(argument);
    }
  }

  private type(type: string): Step {
    const { session } = this;
    if (!/^(?:A|A N|I|L 8)$/.test(type)) return session.say(504, 'There are TYPE A, I and L 8.');
    this.isText = type.startsWith('A');
    return session.say(200, `TYPE ${type}.`);
  }

  /** Our own end of the control connection, and the other; null where there are no addresses (a Unix socket). */
  private get ends(): { readonly local: Address; readonly remote: Address } | null {
    const { local, remote } = this.session.pipe.peer;
    return local === null || remote === null ? null : { local, remote };
  }

  private passive(): Step {
    const { session, ends } = this;
    const host = session.upper.advertised || plainHost(ends?.local.host ?? '::');
    // It has no room for other addresses (RFC 2428 §1).
    if (ends === null || host.includes(':')) return session.say(425, 'Use EPSV: PASV is of IPv4.');
    return this.listen(ends.remote, (port) =>
      session.reply(227, `Entering Passive Mode (${hostPortText({ host, port })}).`),
    );
  }

  private extendedPassive(argument: string): Step {
    const { session, ends } = this;
    if (argument === 'ALL') {
      this.onlyEpsv = true;
      return session.say(200, 'From now on, only EPSV.');
    }
    if (ends === null) return session.say(425, 'This connection has no address.');
    const family = plainHost(ends.local.host).includes(':') ? '2' : '1';
    if (argument !== '' && !/^\d{1,5}$/.test(argument)) return session.say(501, 'That is no protocol.');
    if (argument !== '' && argument !== family) return session.say(522, `Use another network protocol (${family}).`);
    return this.listen(ends.remote, (port) => session.reply(229, `Entering Extended Passive Mode (|||${port}|).`));
  }

  private listen(from: Address, tell: (port: number) => void): Step {
    const { session } = this;
    this.transfers.passive(from, (port) => {
      if (port === null) session.reply(425, 'There is no port free for it: try again.');
      else tell(port);
      session.answered();
    });
    return WAIT;
  }

  private active(target: Address | null): Step {
    const { session, ends } = this;
    if (target === null) return session.say(501, 'That is no address.');
    // Whoever could name another would have us attack it (RFC 2577 §3).
    const named = plainHost(target.host);
    // Some clients name no address where they listen on all of theirs (lftp, over IPv6).
    const isPeer = ends !== null && (NOWHERE.includes(named) || named === plainHost(ends.remote.host));
    if (!isPeer || target.port < PORT_LEAST)
      return session.say(504, 'Only the address that this connection comes from, and ports from 1024 on.');
    this.transfers.active({ host: ends.remote.host, port: target.port });
    session.reply(200, 'It will be connected to.');
    return DONE;
  }

  private extendedActive(argument: string): Step {
    const target = readExtendedPort(argument);
    if (target !== 0) return this.active(target);
    const { ends } = this;
    const family = plainHost(ends?.local.host ?? '').includes(':') ? '2' : '1';
    return this.session.say(522, `Use another network protocol (${family}).`);
  }
}
