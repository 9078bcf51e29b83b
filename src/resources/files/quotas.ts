// How many bytes a folder may hold. What is in it is counted when it is first asked for, kept by what changes, and counted
// again from time to time, since other programs change the folder too.
import type { FileTree } from '../../storage/engine.ts';
import type { Trees } from './trees.ts';

/** The narrowest of rules by path that a path falls under, and its folder; null for none. */
export function narrowest<Rule extends { readonly levels: readonly string[] }>(
  rules: readonly Rule[],
  path: string,
): { readonly folder: string; readonly rule: Rule } | null {
  if (rules.length === 0) return null;
  const levels = path.split('/');
  let found: { folder: string; rule: Rule } | null = null;
  for (const rule of rules) {
    const depth = rule.levels.length;
    if (depth > levels.length || (found !== null && depth <= found.rule.levels.length)) continue;
    if (!rule.levels.every((level, index) => level === '*' || level === levels[index])) continue;
    found = { folder: levels.slice(0, depth).join('/'), rule };
  }
  return found;
}

export function levelsOf(path: string): readonly string[] {
  return path === '' ? [] : path.split('/');
}

export interface QuotaRule {
  /** A path, in which `*` stands for one level: `home/*`. */
  readonly path: string;
  readonly bytes: number;
}

const COUNTED_MS = 600_000;
const PAGE = 256;

interface Usage {
  used: number;
  reserved: number;
  until: number;
  counting: Promise<void> | null;
}

export class Quotas {
  private readonly rules: readonly { readonly levels: readonly string[]; readonly bytes: number }[];
  private readonly trees: Trees;
  private readonly wall: () => number;
  /** Bytes that lie beside a folder, and count as in it. */
  private readonly beside: (folder: string) => Promise<number>;
  private readonly usages = new Map<string, Usage>();

  constructor(
    rules: readonly QuotaRule[],
    trees: Trees,
    wall: () => number,
    beside: (folder: string) => Promise<number>,
  ) {
    this.beside = beside;
    this.rules = rules.map(({ path, bytes }) => ({ levels: levelsOf(path), bytes }));
    this.trees = trees;
    this.wall = wall;
  }

  /** The folder with a quota that a path is in, the narrowest; null for none. */
  of(path: string): { readonly folder: string; readonly bytes: number } | null {
    const found = narrowest(this.rules, path);
    return found === null ? null : { folder: found.folder, bytes: found.rule.bytes };
  }

  /** Bytes that are left below a quota; Infinity without one. */
  async room(path: string): Promise<number> {
    const quota = this.of(path);
    if (quota === null) return Number.POSITIVE_INFINITY;
    const usage = await this.usage(quota.folder);
    return quota.bytes - usage.used - usage.reserved;
  }

  /** Whether bytes that were counted at one path may be at another. */
  async fits(from: string, to: string, bytes: number): Promise<boolean> {
    return this.of(from)?.folder === this.of(to)?.folder || bytes <= (await this.room(to));
  }

  async used(folder: string): Promise<number> {
    return (await this.usage(folder)).used;
  }

  /** Takes room for bytes that come, or answers false. Only after `room` was asked. */
  reserve(path: string, bytes: number): boolean {
    const quota = this.of(path);
    const usage = quota === null ? undefined : this.usages.get(quota.folder);
    if (quota === null || usage === undefined) return true;
    if (bytes > 0 && usage.used + usage.reserved + bytes > quota.bytes) return false;
    usage.reserved += bytes;
    return true;
  }

  /** What is there has become more or less. */
  changed(path: string, bytes: number): void {
    const quota = this.of(path);
    const usage = quota === null ? undefined : this.usages.get(quota.folder);
    if (usage !== undefined) usage.used = Math.max(0, usage.used + bytes);
  }

  /** Counts again when it is next asked for. */
  forget(path: string): void {
    const quota = this.of(path);
    const usage = quota === null ? undefined : this.usages.get(quota.folder);
    if (usage !== undefined) usage.until = 0;
  }

  private async usage(folder: string): Promise<Usage> {
    let usage = this.usages.get(folder);
    if (usage === undefined) this.usages.set(folder, (usage = { used: 0, reserved: 0, until: 0, counting: null }));
    if (usage.until <= this.wall()) {
      usage.counting ??= this.count(folder, usage);
      await usage.counting;
    }
    return usage;
  }

  private async count(folder: string, usage: Usage): Promise<void> {
    const { tree, inner } = this.trees.find(folder);
    usage.used = (await sizeBelow(tree, inner)) + (await this.beside(folder));
    usage.until = this.wall() + COUNTED_MS;
    usage.counting = null;
  }
}

/** Bytes of all files below a folder. */
export async function sizeBelow(tree: FileTree, path: string): Promise<number> {
  let bytes = 0;
  const waiting = [path];
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    const folder = await tree.openFolder(at);
    if (typeof folder === 'number') continue;
    for (;;) {
      const page = await folder.next(PAGE);
      if (page.length === 0) break;
      for (const each of page) {
        if (each.folder) waiting.push(each.path);
        else bytes += each.size;
      }
    }
    folder.close();
  }
  return bytes;
}
