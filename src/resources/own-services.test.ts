import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OWN_LOCK, ownServices } from './own-services.ts';
import { changesOf } from './services/lock.ts';

test('the services of the resources are what their lock says: clients of yesterday call them today', () => {
  // Only described: nothing of them is called.
  const described = ownServices({} as never);
  assert.deepEqual(Object.keys(OWN_LOCK.services).sort(), described.map(({ service }) => service.name).sort());
  for (const { service } of described) assert.deepEqual(changesOf(OWN_LOCK.services[service.name], service), []);
});

test('services of one package have no type in common: descriptors of both are read together', () => {
  const seen = new Map<string, string>();
  for (const { service } of ownServices({} as never))
    for (const name of service.schema.types.keys()) {
      if (name.startsWith('google.')) continue;
      assert.equal(seen.get(name), undefined, `${name} is in ${seen.get(name)} and ${service.name}`);
      seen.set(name, service.name);
    }
});
