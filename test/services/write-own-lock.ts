// `node test/services/write-own-lock.ts` writes the field numbers of what is new in the server's own services into their lock. What would break
// clients of yesterday is refused.
import { writeFileSync } from 'node:fs';
import { OWN_LOCK, ownServices } from '../../src/resources/own-services.ts';
import { changesOf, type LockedService, locked, writeLock } from '../../src/resources/services/lock.ts';

const services: Record<string, LockedService> = { ...OWN_LOCK.services };
let broken = 0;
// Only described: nothing of them is called.
for (const { service } of ownServices({} as never)) {
  const before = services[service.name];
  for (const { place, text, breaks } of changesOf(before, service)) {
    if (breaks) broken++;
    process.stdout.write(`${breaks ? 'breaks' : 'new'} ${place}: ${text}\n`);
  }
  services[service.name] = locked(before, service);
}
if (broken > 0) process.exitCode = 1;
else
  writeFileSync(
    new URL('../../src/resources/own-services.lock.json', import.meta.url),
    writeLock({ version: 1, services }),
  );
