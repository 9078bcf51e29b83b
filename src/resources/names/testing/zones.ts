// Zones that last, for tests: plans, files, changes.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Outcome } from '../../../core/outcome.ts';
import { nameFrom } from '../../../formats/dns/name.ts';
import { TYPE } from '../../../formats/dns/records.ts';
import { Changes } from '../changes.ts';
import type { ZonePlan } from '../open.ts';
import type { StoredZone } from '../zone.ts';

export const ORIGIN = nameFrom('example.')!;

export function plan(given: Partial<ZonePlan> = {}): ZonePlan {
  const nobody = { networks: [], keys: [] };
  return {
    name: 'example',
    origin: ORIGIN,
    kind: 'kept',
    clients: null,
    transfer: nobody,
    update: nobody,
    notify: [],
    primaries: [],
    ...given,
  };
}

export function change(zone: StoredZone, fill: (changes: Changes) => void): Promise<Outcome> {
  return new Promise((resolve) =>
    zone.change(
      () => {
        const changes = new Changes();
        fill(changes);
        return changes;
      },
      { settled: (_token, outcome) => resolve(outcome) },
      0,
    ),
  );
}

export const A = (last: number) => Uint8Array.of(192, 0, 2, last);
export const HOST = nameFrom('h.example.')!;

export function address(direction: 0 | 1, last: number) {
  return (changes: Changes) => changes.push(direction, HOST, 0, TYPE.A, 60, A(last), 0, 4);
}

export function withFile(run: (path: string, write: (text: string) => void) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'portico-names-'));
  const path = join(folder, 'example.zone');
  const write = (text: string) => writeFileSync(path, text);
  return run(path, write).finally(() => rmSync(folder, { recursive: true }));
}

export const SMALL = (serial: number) => `$TTL 60\n@ SOA ns h ${serial} 1 1 1 1\n@ NS ns\nns A 192.0.2.53\n`;
