import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { readDigests, wantedDigest, writeDigest } from './digests.ts';

// RFC 9530 §B.1 and §2: `{"hello": "world"}` and a line feed.
const BODY = '{"hello": "world"}\n';
const SHA256 = 'sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:';
const SHA512 = 'sha-512=:YMAam51Jz/jOATT6/zvHrLVgOYTGFy1d6GJiOHTohq4yP+pgk4vf2aCsyRZOtw8MjkM7iw7yZ/WkppmM44T3qg==:';

test('what RFC 9530 writes is read, and written so', () => {
  const both = readDigests(`${SHA256}, ${SHA512}`)!;
  for (const [algorithm, text] of [
    ['sha-256', SHA256],
    ['sha-512', SHA512],
  ] as const) {
    const digest = createHash(algorithm.replace('-', '')).update(BODY).digest();
    assert.deepEqual(both.get(algorithm), digest);
    assert.equal(writeDigest(algorithm, digest), text);
  }
});

test('algorithms that are not known are passed over, what is malformed is not (RFC 9530 §2)', () => {
  assert.equal(readDigests('md5=:1B2M2Y8AsgTpgAmY7PhCfg==:')!.size, 0);
  assert.equal(readDigests(null)!.size, 0);
  assert.equal(readDigests(`unknown=:AA==:;a=1, ${SHA256}`)!.size, 1);
  for (const bad of ['', 'sha-256', 'sha-256=RK/0', 'sha-256=:R K:', '=:AA==:', 'sha-256=:AA==', `${SHA256},`])
    assert.equal(readDigests(bad), null, bad);
});

test('the algorithm is the one that is wanted most; 0 is not wanted (RFC 9530 §4)', () => {
  assert.equal(wantedDigest('sha-256=1'), 'sha-256');
  assert.equal(wantedDigest('sha-512=3, sha-256=10, unixsum=0'), 'sha-256');
  assert.equal(wantedDigest('sha-512=10, sha-256=3'), 'sha-512');
  for (const none of [null, 'sha-256=0', 'md5=10', 'sha-256', 'sha-256=11', '!'])
    assert.equal(wantedDigest(none), null, String(none));
});
