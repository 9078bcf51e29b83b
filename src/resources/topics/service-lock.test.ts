// portico.v1.Topics is called by programs of others: what they rely on stays.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { describe } from '../services/define.ts';
import { changesOf, lockedOf, readLock, writeLock } from '../services/lock.ts';
import { topicsService } from './service.ts';

test('the service of topics is as its lock says', () => {
  const lock = readLock(readFileSync(new URL('./testing/service.lock.json', import.meta.url), 'utf8'));
  assert.ok(!(lock instanceof Error));
  // Only described: nothing of it is called.
  const { service } = describe(topicsService(null as never));
  const now = writeLock({ version: 1, services: { [service.name]: lockedOf(service) } });
  assert.deepEqual(changesOf(lock.services[service.name], service), [], `what is new goes into the lock:\n${now}`);
});
