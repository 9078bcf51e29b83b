// Hashes of files: worked out as they are read, and kept for as long as a file is as it was.
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { OK, type Outcome } from '../../core/outcome.ts';
import type { TreeFile } from '../../storage/engine.ts';
import type { Algorithm } from './contract.ts';
import { FILE_LIMITS } from './limits.ts';

const NAMES: Readonly<Record<Exclude<Algorithm, 'crc32'>, string>> = {
  'sha-256': 'sha256',
  'sha-512': 'sha512',
  'sha-1': 'sha1',
  md5: 'md5',
};

/** A hash that is being worked out. */
export interface Digest {
  update(bytes: Uint8Array): void;
  hex(): string;
}

export function digestOf(algorithm: Algorithm): Digest {
  if (algorithm === 'crc32') {
    let sum = 0;
    return {
      update: (bytes) => void (sum = crc32(bytes, sum)),
      hex: () => sum.toString(16).padStart(8, '0'),
    };
  }
  const hash = createHash(NAMES[algorithm]);
  return { update: (bytes) => void hash.update(bytes), hex: () => hash.digest('hex') };
}

export class Hashes {
  private readonly kept = new Map<string, string>();

  async of(file: TreeFile, algorithm: Algorithm, start: number, end: number): Promise<string | Outcome> {
    const key = `${algorithm} ${file.stat.unique} ${file.stat.version} ${start} ${end}`;
    const known = this.kept.get(key);
    if (known !== undefined) return known;
    const digest = digestOf(algorithm);
    const outcome = await new Promise<Outcome>((resolve) => {
      const bytes = (data: Uint8Array, from: number, to: number) => digest.update(data.subarray(from, to));
      file.read(start, end, { room: Number.POSITIVE_INFINITY, bytes, end: resolve });
    });
    if (outcome !== OK) return outcome;
    const hex = digest.hex();
    this.kept.set(key, hex);
    if (this.kept.size > FILE_LIMITS.hashesMax) this.kept.delete(this.kept.keys().next().value!);
    return hex;
  }
}
