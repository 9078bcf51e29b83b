import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shown } from './output.ts';

test('what a peer said stays on its line of the log, and colours nothing', () => {
  assert.equal(
    shown({ client: 'a\n2026 error forged\u001b[31m', port: 1 }),
    ' client=a\\u000a2026 error forged\\u001b[31m port=1',
  );
  assert.equal(shown({ stack: 'Error: x\u0007\n    at y' }), '\nError: x\\u0007\n    at y');
  assert.equal(shown(undefined), '');
});
