// One process to a data folder. The lock is an exclusive transaction on a small database of its own, so that the kernel
// lets go of it with the process, however that ends.
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

const LOCK = 'lock.db';
const HOLDER = 'lock.pid';

export interface Lock {
  release(): void;
}

/** Takes the folder. Throws with the holder's process id when another has it. */
export function lockFolder(folder: string): Lock {
  const database = new DatabaseSync(join(folder, LOCK));
  try {
    database.exec('PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    const holder = holderOf(folder);
    throw new Error(`the data folder ${folder} is in use by process ${holder}`, { cause: error });
  }
  try {
    // Not made beforehand: closing any other descriptor of this file would let go of the lock.
    chmodSync(join(folder, LOCK), 0o600);
    writeFileSync(join(folder, HOLDER), `${process.pid}\n`, { mode: 0o600 });
  } catch {
    // Only a message needs it: on a full disk the store opens without.
  }
  return { release: () => database.close() };
}

function holderOf(folder: string): string {
  try {
    return readFileSync(join(folder, HOLDER), 'latin1').trim();
  } catch {
    return '(unknown)';
  }
}

/** Who has the folder; null when nobody has. Takes the lock for a moment where it is free. */
export function lockHolder(folder: string): string | null {
  if (!existsSync(join(folder, LOCK))) return null;
  const database = new DatabaseSync(join(folder, LOCK));
  try {
    database.exec('PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE; ROLLBACK');
    return null;
  } catch {
    return holderOf(folder);
  } finally {
    database.close();
  }
}
