import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OWN_LOCK, ownServices } from './own-services.ts';
import { changesOf } from './services/lock.ts';

test('the services of the resources are what their lock says: clients of yesterday call them today', () => {
  const described = ownServices({ topics: null as never });
  assert.deepEqual(Object.keys(OWN_LOCK.services).sort(), described.map(({ service }) => service.name).sort());
  for (const { service } of described) assert.deepEqual(changesOf(OWN_LOCK.services[service.name], service), []);
});
