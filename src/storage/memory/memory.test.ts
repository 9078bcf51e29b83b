import { setImmediate as later } from 'node:timers';
import { engineSuite } from '../conformance.ts';
import { treeSuite } from '../tree-conformance.ts';
import { MemoryEngine } from './engine.ts';
import { MemoryTree } from './tree.ts';

engineSuite('memory', async () => {
  const injected = { refuse: null as never, hold: false };
  const engine = new MemoryEngine({ injected });
  return {
    engine,
    reopen: null,
    dispose: async () => {},
    refuse: (outcome) => {
      injected.refuse = outcome as never;
    },
    hold: () => {
      injected.hold = true;
      return () => engine.release();
    },
  };
});

treeSuite('memory', async () => ({
  tree: new MemoryTree(
    (step) => void later(step),
    { refuse: null, hold: false },
    () => 1_000,
  ),
  dispose: async () => {},
}));
