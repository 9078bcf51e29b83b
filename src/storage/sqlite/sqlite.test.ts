import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { engineSuite } from '../conformance.ts';
import { SqliteEngine } from './engine.ts';

engineSuite('sqlite', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'portico-sqlite-'));
  const open = () => SqliteEngine.open(folder);
  const engine = await open();
  return {
    engine,
    reopen: open,
    dispose: () => rm(folder, { recursive: true }),
    refuse: (outcome) => engine.inject({ refuse: outcome, hold: false }),
    hold: () => {
      engine.inject({ refuse: null, hold: true });
      return () => engine.inject({ refuse: null, hold: false });
    },
  };
});
