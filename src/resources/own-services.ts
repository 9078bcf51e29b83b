// The resources as services of the server's own, with field numbers that never change: own-services.lock.json has them.

import lockText from './own-services.lock.json' with { type: 'json' };
import { type Described, describe, type ServiceDefinition } from './services/define.ts';
import { type Lock, numbersOf, readLock } from './services/lock.ts';
import type { Topics } from './topics/contract.ts';
import { topicsService } from './topics/service.ts';

const read = readLock(JSON.stringify(lockText));
if (read instanceof Error) throw read;
const LOCK: Lock = read;

/** What they are made of. */
export interface OwnResources {
  readonly topics: Topics;
}

/** Their definitions, for those who describe them otherwise. */
export function ownDefinitions({ topics }: OwnResources): ServiceDefinition[] {
  return [topicsService(topics)];
}

export function ownServices(resources: OwnResources): Described[] {
  return ownDefinitions(resources).map((definition) =>
    describe(definition, numbersOf(LOCK.services[definition.name]), 'resource'),
  );
}

export { LOCK as OWN_LOCK };
