// The table of streams against a Map.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Stream } from './stream.ts';
import { StreamTable } from './stream-table.ts';

test('it has what was added and not deleted, whatever the order', () => {
  const steps = fc.array(fc.tuple(fc.boolean(), fc.nat(60)), { maxLength: 300 });
  fc.assert(
    fc.property(steps, fc.constantFrom(1, 16, 64), (given, stride) => {
      const table = new StreamTable();
      const model = new Map<number, Stream>();
      for (const [adds, number] of given) {
        const id = number * stride * 2 + 1;
        if (adds && !model.has(id)) {
          const stream = { id } as Stream;
          model.set(id, stream);
          table.add(stream);
        } else if (!adds) {
          model.delete(id);
          table.delete(id);
        }
        assert.equal(table.size, model.size);
        assert.equal(table.get(id), model.get(id));
      }
      const ids = [...model.keys()].sort((one, other) => one - other);
      assert.deepEqual(
        table.values().map(({ id }) => id),
        ids,
      );
      for (const id of ids) assert.equal(table.get(id)?.id, id);
      table.clear();
      assert.deepEqual([table.size, table.values().length, table.get(1)], [0, 0, undefined]);
    }),
  );
});
