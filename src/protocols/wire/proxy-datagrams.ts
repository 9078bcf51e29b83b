// A proxy of datagrams: each address that sends has a port of its own towards the upstream, by which answers find back. A
// port that is full loses what does not fit, as the network does.
import type { DatagramPort, DatagramSession } from '../../core/datagram.ts';
import { type Address, addressText } from '../../core/peer.ts';
import type { Reach } from '../../core/reach.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';

export interface DatagramProxyBounds {
  readonly flowsMax: number;
  readonly flowIdleMs: number;
  readonly flowWaitingMax: number;
}

/** One address, and its port towards the upstream once that is open. */
interface Flow {
  readonly from: Address;
  /** The address of ours that it sent to: answers leave from there. */
  readonly local: Address | null;
  upstream: DatagramPort | null;
  waiting: Buffer[];
  idleAt: Instant;
}

export class DatagramProxy implements DatagramSession {
  readonly figures = { forwarded: 0, answered: 0, dropped: 0 };
  private readonly port: DatagramPort;
  private readonly reach: Reach;
  private readonly target: Address;
  private readonly bounds: DatagramProxyBounds;
  private readonly flows = new Map<string, Flow>();
  /** The earliest end of a flow, or earlier. */
  private idleAt: Instant = NEVER;
  private over = false;

  /** @param target an address, not a name: answers are taken from there alone */
  constructor(port: DatagramPort, reach: Reach, target: Address, bounds: DatagramProxyBounds) {
    this.port = port;
    this.reach = reach;
    this.target = target;
    this.bounds = bounds;
  }

  get deadline(): Instant {
    return this.idleAt;
  }

  get size(): number {
    return this.flows.size;
  }

  receive(
    input: Uint8Array,
    start: number,
    end: number,
    from: Address,
    local: Address | null,
    _ecn: number,
    clock: Clock,
  ): void {
    const name = addressText(from);
    const flow = this.flows.get(name) ?? this.open(name, from, local);
    if (flow === null) {
      this.figures.dropped++;
      return;
    }
    this.touch(flow, clock);
    if (flow.upstream !== null) this.forward(flow.upstream, input, start, end);
    else if (flow.waiting.length < this.bounds.flowWaitingMax)
      flow.waiting.push(Buffer.from(input.subarray(start, end)));
    else this.figures.dropped++;
  }

  private touch(flow: Flow, clock: Clock): void {
    flow.idleAt = clock.now + this.bounds.flowIdleMs;
    this.idleAt = Math.min(this.idleAt, flow.idleAt);
  }

  private forward(upstream: DatagramPort, input: Uint8Array, start: number, end: number): void {
    if (upstream.send(this.target, null, input, start, end, 0)) this.figures.forwarded++;
    else this.figures.dropped++;
  }

  private open(name: string, from: Address, local: Address | null): Flow | null {
    if (this.over || this.flows.size >= this.bounds.flowsMax) return null;
    const flow: Flow = { from, local, upstream: null, waiting: [], idleAt: 0 };
    this.flows.set(name, flow);
    const family = this.target.host.includes(':') ? 6 : 4;
    const opened = (upstream: DatagramPort | null) => {
      if (upstream === null || this.flows.get(name) !== flow) {
        upstream?.close();
        if (this.flows.get(name) === flow) this.flows.delete(name);
        return;
      }
      flow.upstream = upstream;
      for (const bytes of flow.waiting.splice(0)) this.forward(upstream, bytes, 0, bytes.length);
    };
    this.reach.datagrams(family, () => this.answers(flow)).then(opened, () => opened(null));
    return flow;
  }

  /** What the upstream says to one address. */
  private answers(flow: Flow): DatagramSession {
    return {
      deadline: NEVER,
      receive: (input, start, end, from, _local, _ecn, clock) => {
        if (from.port !== this.target.port || from.host !== this.target.host) return;
        this.touch(flow, clock);
        if (this.port.send(flow.from, flow.local, input, start, end, 0)) this.figures.answered++;
        else this.figures.dropped++;
      },
      tick: () => {},
      leave: () => flow.upstream?.close(),
      lost: () => {
        flow.upstream = null;
        if (this.flows.get(addressText(flow.from)) === flow) this.flows.delete(addressText(flow.from));
      },
    };
  }

  tick(clock: Clock): void {
    this.idleAt = NEVER;
    for (const [name, flow] of [...this.flows]) {
      if (flow.idleAt > clock.now) this.idleAt = Math.min(this.idleAt, flow.idleAt);
      else {
        this.flows.delete(name);
        flow.upstream?.close();
      }
    }
  }

  leave(): void {
    this.port.close();
  }

  lost(): void {
    this.over = true;
    for (const [name, flow] of [...this.flows]) {
      this.flows.delete(name);
      flow.upstream?.close();
    }
  }
}
