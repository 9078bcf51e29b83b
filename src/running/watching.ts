// What `portico watch`, `why` and `doctor` reach of a running server: its control socket, answered from the connections and
// the topics, with the dissectors of all protocols.
import { resolve } from 'node:path';
import type { Config } from '../config.ts';
import { type Control, openControl } from '../control/control.ts';
import { controlPath } from '../control/place.ts';
import type { Log } from '../core/log.ts';
import { OUTCOME_NAMES } from '../core/outcome.ts';
import type { Direction, Dissector, StreamDissectors, Told } from '../core/tap.ts';
import { Veiled } from '../inspector/lane.ts';
import type { NativeState } from '../native/native.ts';
import { quicDissector } from '../protocols/quic/dissect.ts';
import { wire } from '../protocols/wire/index.ts';
import { PROTOCOLS } from '../protocols.ts';
import type { Desk } from '../resources/accounts/desk.ts';
import type { Resources } from '../resources/resources.ts';
import type { Topics } from '../resources/topics/contract.ts';
import { isTopicFilter, matches } from '../resources/topics/names.ts';
import type { Registry } from '../server/registry.ts';
import type { Server } from '../server/server.ts';
import { helloDissector } from '../transports/hello-dissect.ts';

/** Whoever may open the data folder sees all of it. */
const OWNER = { account: '', scopes: null, origin: 'local', epoch: 0 } as const;

interface Watched {
  readonly server: Server<Resources>;
  readonly topics: Topics;
  readonly desk: Desk;
  readonly log: Log;
  readonly native: NativeState;
}

/** Opens the control socket that the configuration asks for. A server without one serves all the same, and says so. */
export async function openWatching(
  config: Config,
  version: string,
  { server, topics, desk, log, native }: Watched,
): Promise<Control | null> {
  const path = controlPath(config);
  if (path instanceof Error) return null;
  const { turn, registry, standing } = server;
  const since = turn.clock.now;
  try {
    return await openControl(path, {
      turn,
      log,
      version,
      dissectors: dissectorOf,
      show: (tap) => registry.show(tap),
      kernel: () => registry.kernel(),
      isFilter: isTopicFilter,
      matches,
      why(topic, cursor) {
        const answer = topics.why(OWNER, topic, cursor);
        return Array.isArray(answer)
          ? answer
          : `${topic} is no topic that can be asked about (${OUTCOME_NAMES[answer]})`;
      },
      order(order, answered) {
        desk.order(order, 'command').then(answered, (error: unknown) => {
          turn.bug(error, 'an order');
          answered({ ok: false, outcome: 'FAILED', error: 'that was a bug of Portico’s own; its log says more' });
        });
      },
      status: () => ({
        portico: version,
        node: process.version,
        pid: process.pid,
        forMs: Math.round(turn.clock.now - since),
        native: native.on ? 'on' : native.why,
        connections: registry.size,
        protocols: countOf(registry),
        topics: { ...topics.figures },
        memory: process.memoryUsage.rss(),
        data: config.storage === 'memory' ? null : resolve(config.data),
        listening: standing,
      }),
    });
  } catch (error) {
    log.warn('nobody can watch', { why: error instanceof Error ? error.message : String(error) });
    return null;
  }
}

/** How many connections stand of each protocol. */
function countOf(registry: Registry): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { protocol } of registry.list()) counts[protocol] = (counts[protocol] ?? 0) + 1;
  return counts;
}

/** The dissector of a protocol by the name that its connections go by; null when nobody can read them. */
function dissectorOf(name: string, direction: Direction, joinedLate: boolean, told: Told): Dissector | null {
  if (name === 'quic') return quicDissector(direction, joinedLate, (carried) => streamsOf(carried, direction, told));
  if (name === 'tls') return helloDissector(direction, joinedLate);
  const [outer = '', carried] = name.split('/');
  // A connection of our own: what comes in is what its server says.
  if (outer === 'reach' && carried !== undefined)
    return dissectorOf(carried, direction === 'in' ? 'out' : 'in', joinedLate, told);
  const protocol = outer.startsWith('wire-') ? wire : PROTOCOLS.find((candidate) => candidate.name === outer);
  const dissector = protocol?.dissector(direction, joinedLate) ?? null;
  return dissector === null || carried === undefined ? dissector : new Veiled(dissector);
}

/** Who reads what is said on the streams of a connection of many. */
function streamsOf(name: string, direction: Direction, told: Told): StreamDissectors | null {
  const protocol = PROTOCOLS.find((candidate) => candidate.name === name);
  if (protocol === undefined) return null;
  return (
    protocol.streamDissectors?.(direction, told) ?? ((_stream, joinedLate) => protocol.dissector(direction, joinedLate))
  );
}
