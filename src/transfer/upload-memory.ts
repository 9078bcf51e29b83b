// Where uploads by tus were begun, so that another run of the command can go on: a small file for each, outside of what is sent.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

export interface UploadMemory {
  /** The URL of the upload that a key stands for; null for none. */
  get(key: string): string | null;
  /** Null: it is over. */
  set(key: string, url: string | null): void;
}

export function uploadMemory(): UploadMemory {
  const state = process.env.XDG_STATE_HOME ?? join(homedir(), '.local', 'state');
  const folder = join(state, 'portico', 'uploads');
  const within = new Map<string, string>();
  const pathOf = (key: string) => join(folder, createHash('sha256').update(key).digest('hex'));
  return {
    get(key) {
      const known = within.get(key);
      if (known !== undefined) return known;
      try {
        const url = readFileSync(pathOf(key), 'utf8').trim();
        return URL.canParse(url) ? url : null;
      } catch {
        return null;
      }
    },
    set(key, url) {
      try {
        if (url === null) {
          within.delete(key);
          rmSync(pathOf(key), { force: true });
          return;
        }
        within.set(key, url);
        mkdirSync(folder, { recursive: true, mode: 0o700 });
        // Who has the URL may not go on without the account, but need not know it.
        writeFileSync(pathOf(key), `${url}\n`, { mode: 0o600 });
      } catch {
        // Then only this run can go on with it.
      }
    },
  };
}
