// The way out: connections and datagram ports that sessions ask for, within what the outbound policy allows.

import { lookup } from 'node:dns';
import type { DatagramPort, DatagramSession } from '../core/datagram.ts';
import type { Address } from '../core/peer.ts';
import { type Cause, type Pipe, type Session, UNREACHABLE } from '../core/pipe.ts';
import type { Reach, Target } from '../core/reach.ts';
import type { Instant } from '../core/time.ts';
import type { TlsPolicy } from '../core/tls.ts';
import { AddressPolicy, type OutboundPolicy } from '../transports/addresses.ts';
import { dial, type PipeMaking } from '../transports/socket-pipe.ts';
import { listenStream } from '../transports/tcp.ts';
import { openUdp } from '../transports/udp.ts';

export class ServerReach implements Reach {
  private readonly making: PipeMaking;
  private readonly policy: AddressPolicy;

  constructor(making: PipeMaking, policy: OutboundPolicy) {
    this.making = making;
    this.policy = new AddressPolicy(policy);
  }

  dial(
    target: Target,
    tls: TlsPolicy | null,
    connected: (pipe: Pipe) => Session,
    refused: (cause: Cause, why: string) => void,
  ): () => void {
    let giveUp = () => {};
    let over = false;
    const go = (address: string) => {
      if (over) return;
      giveUp = dial({ ...target, host: address }, tls, this.making, connected, refused);
    };
    if (target.path !== undefined) go('');
    // Resolved first and dialled by address: a name that is looked up twice could answer twice differently.
    else
      lookup(target.host, (error, address) => {
        if (over) return;
        if (error !== null) refused(UNREACHABLE, `${target.host} is not known: ${error.code}`);
        else if (this.policy.allowsName(target.host) || this.policy.allows(address)) go(address);
        else refused(UNREACHABLE, `${target.host} (${address}) is private and not in the list of allowed targets`);
      });
    return () => {
      over = true;
      giveUp();
    };
  }

  async listenOnce(
    ports: readonly [number, number],
    from: Address,
    deadline: Instant,
    connected: (pipe: Pipe) => Session,
    expired: () => void,
  ): Promise<number | null> {
    const { turn } = this.making;
    for (let port = ports[0]; port <= ports[1]; port++) {
      let taken = false;
      try {
        const listening = await listenStream({
          ...this.making,
          host: from.host.includes(':') ? '::' : '0.0.0.0',
          port,
          admit: (remote) => !taken && remote?.host === from.host,
          opened: () => {
            taken = true;
            clearTimeout(timer);
            void listening.close();
          },
          accept: connected,
        });
        const timer = setTimeout(
          () => {
            void listening.close();
            if (!taken) expired();
          },
          Math.max(0, deadline - turn.clock.now),
        );
        return listening.address!.port;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
      }
    }
    return null;
  }

  async datagrams(family: 4 | 6, session: (port: DatagramPort) => DatagramSession): Promise<DatagramPort | null> {
    const host = family === 4 ? '0.0.0.0' : '::';
    const { turn } = this.making;
    return openUdp({
      turn,
      host,
      port: 0,
      session: (port) => session(this.guarded(port)),
    });
  }

  /** A port that sends only to where the policy allows. */
  private guarded(port: DatagramPort): DatagramPort {
    const { policy } = this;
    return {
      get local() {
        return port.local;
      },
      get room() {
        return port.room;
      },
      ecn: port.ecn,
      send: (to, local, bytes, start, end, segment) =>
        policy.allows(to.host) && port.send(to, local, bytes, start, end, segment),
      touch: () => port.touch(),
      close: () => port.close(),
    };
  }
}
