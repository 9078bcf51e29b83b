// The wire listeners: echo, discard, record and proxy. None listens unless a configuration names it, and `wireListens`
// makes what it named.
import type { Host, Listens, Protocol } from '../../core/protocol.ts';
import type { Target } from '../../core/reach.ts';
import type { Resources } from '../../resources/resources.ts';
import { isTopicName } from '../../resources/topics/names.ts';
import { wireDissector } from './dissect.ts';
import { DiscardDatagrams, DiscardSession, EchoDatagrams, EchoSession } from './echo.ts';
import { faults } from './faults.ts';
import { limits } from './limits.ts';
import { proxyPipe } from './proxy.ts';
import { DatagramProxy } from './proxy-datagrams.ts';
import { RecordDatagrams, type RecordOptions, RecordSession } from './record.ts';

type WireHost = Host<Resources, typeof limits>;

/** One listener, as a configuration names it. */
export type WireService =
  | { readonly kind: 'echo' | 'discard'; readonly port: number }
  /** Publishes what came to `record/<name>`. */
  | { readonly kind: 'record'; readonly port: number; readonly name: string }
  /** `tcp://host:port`, `unix:/path` or `udp://address:port`. */
  | { readonly kind: 'proxy'; readonly port: number; readonly target: string };

export const wire: Protocol<Resources> = {
  name: 'wire',
  specs: ['RFC 862', 'RFC 863'],
  limits,
  faults,
  uses: ['topics'],
  listens: [],
  dissector: wireDissector,
};

type Stream = Extract<Listens<Resources>, { on: 'tcp' | 'tls' | 'unix' | 'quic-stream' | 'ssh-subsystem' }>['pipe'];
type Datagrams = Extract<Listens<Resources>, { on: 'udp' }>['datagrams'];

function onTcp(port: number, pipe: Stream): Listens<Resources> {
  return { on: 'tcp', port, standardPort: port, pipe };
}

function onUdp(port: number, datagrams: Datagrams): Listens<Resources> {
  return { on: 'udp', port, standardPort: port, datagrams };
}

const boundsOf = (host: Host<Resources>) => (host as WireHost).limits;

/** What a service listens on: streams and datagrams, or what its target is. Throws a RangeError that says what is wrong. */
export function wireListens(service: WireService): readonly Listens<Resources>[] {
  const { port } = service;
  switch (service.kind) {
    case 'echo':
      return [
        onTcp(port, (pipe, host) => new EchoSession(pipe, boundsOf(host).idleMs, host.clock)),
        onUdp(port, (made) => new EchoDatagrams(made)),
      ];
    case 'discard':
      return [
        onTcp(port, (pipe, host) => new DiscardSession(pipe, boundsOf(host).idleMs, host.clock)),
        onUdp(port, (made) => new DiscardDatagrams(made)),
      ];
    case 'record':
      return record(port, service.name);
    case 'proxy':
      return [proxy(port, service.target)];
  }
}

function record(port: number, name: string): Listens<Resources>[] {
  if (!isTopicName(`record/${name}`)) throw new RangeError(`record/${name} is not the name of a topic`);
  const optionsOf = (host: Host<Resources>): RecordOptions => {
    const { recordBytesMax, idleMs } = boundsOf(host);
    return { topics: host.resources.topics, name, bytesMax: recordBytesMax, idleMs };
  };
  return [
    onTcp(port, (pipe, host) => new RecordSession(pipe, optionsOf(host), host.clock)),
    onUdp(port, (made, host) => new RecordDatagrams(made, optionsOf(host))),
  ];
}

const TARGET = /^(tcp|udp):\/\/(?:\[([0-9a-f:.]+)\]|([^\s/:[\]]+)):(\d{1,5})\/?$/i;

function proxy(port: number, target: string): Listens<Resources> {
  if (target.startsWith('unix:')) {
    const path = target.slice(5);
    if (path === '') throw new RangeError('unix: wants the path of a socket behind it');
    return forward(port, { host: '', port: 0, path });
  }
  const found = TARGET.exec(target);
  const to = { host: found?.[2] ?? found?.[3] ?? '', port: Number(found?.[4] ?? 0) };
  if (found === null || to.port < 1 || to.port > 65_535)
    throw new RangeError(`${target} is no target: tcp://host:port, unix:/path or udp://address:port`);
  if (found[1]!.toLowerCase() === 'tcp') return forward(port, to);
  if (found[2] === undefined && !/^\d+\.\d+\.\d+\.\d+$/.test(to.host))
    throw new RangeError(`${to.host} is a name: a datagram proxy wants an address, by which it knows the answers`);
  return onUdp(port, (made, host) => new DatagramProxy(made, host.reach, to, boundsOf(host)));
}

function forward(port: number, target: Target): Listens<Resources> {
  return onTcp(port, (pipe, host) => proxyPipe(pipe, host.reach, target, boundsOf(host).idleMs, host.clock));
}
