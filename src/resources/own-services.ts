// The resources as services of the server's own, with field numbers that never change: own-services.lock.json has them, and
// `node test/services/write-own-lock.ts` writes down what is new.

import { type FilesServiceParts, filesService } from './files/service.ts';
import { type MailServiceParts, mailService } from './mail/service.ts';
import { type NamesServiceParts, namesService } from './names/service.ts';
import lockText from './own-services.lock.json' with { type: 'json' };
import { type Described, describe, type ServiceDefinition } from './services/define.ts';
import { type Lock, numbersOf, readLock } from './services/lock.ts';
import { topicsService } from './topics/service.ts';

const read = readLock(JSON.stringify(lockText));
if (read instanceof Error) throw read;
const LOCK: Lock = read;

/** What they are made of. */
export type OwnResources = FilesServiceParts & MailServiceParts & NamesServiceParts;

/** Their definitions, for those who describe them otherwise. */
export function ownDefinitions(resources: OwnResources): ServiceDefinition[] {
  return [topicsService(resources.topics), filesService(resources), mailService(resources), namesService(resources)];
}

export function ownServices(resources: OwnResources): Described[] {
  return ownDefinitions(resources).map((definition) =>
    describe(definition, numbersOf(LOCK.services[definition.name]), 'resource'),
  );
}

export { LOCK as OWN_LOCK };
