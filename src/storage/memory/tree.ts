// A folder tree in memory: for tests and for `storage: 'memory'`.
import { EXISTS, INVALID, MISSING, OK, type Outcome, STALE, type Waiter } from '../../core/outcome.ts';
import type { Reading, Sink, Stat, Tree, TreeWriter, WriteOptions } from '../engine.ts';
import { isTreePath, parentOf } from '../paths.ts';
import { MemoryWriter, readBytes } from './blobs.ts';
import type { Injected, Later } from './space.ts';

interface Node {
  readonly folder: boolean;
  readonly bytes: Buffer;
  readonly modified: number;
  readonly version: string;
}

const ROOT: Node = { folder: true, bytes: Buffer.alloc(0), modified: 0, version: '0' };

export class MemoryTree implements Tree {
  private readonly nodes = new Map<string, Node>([['', ROOT]]);
  private readonly copies = new Map<string, Buffer>();
  private readonly later: Later;
  private readonly injected: Injected;
  private readonly wall: () => number;
  private versions = 0;

  constructor(later: Later, injected: Injected, wall: () => number) {
    this.later = later;
    this.injected = injected;
    this.wall = wall;
  }

  async stat(path: string): Promise<Stat | null> {
    const node = this.nodes.get(path);
    return node === undefined ? null : statOf(path, node);
  }

  async list(path: string, after: string, most: number): Promise<Stat[] | null> {
    if (this.nodes.get(path)?.folder !== true) return null;
    const inside = path === '' ? '' : `${path}/`;
    return [...this.nodes.keys()]
      .filter((name) => name !== '' && name.startsWith(inside) && parentOf(name) === path)
      .filter((name) => name.slice(inside.length) > after)
      .sort()
      .slice(0, most)
      .map((name) => statOf(name, this.nodes.get(name)!));
  }

  async makeFolder(path: string): Promise<Outcome> {
    if (!isTreePath(path)) return INVALID;
    if (this.nodes.has(path)) return EXISTS;
    if (this.nodes.get(parentOf(path))?.folder !== true) return MISSING;
    this.set(path, true, ROOT.bytes);
    return OK;
  }

  async remove(path: string, ifVersion?: string): Promise<Outcome> {
    if (!isTreePath(path) || path === '') return INVALID;
    const node = this.nodes.get(path);
    if (node === undefined) return MISSING;
    if (ifVersion !== undefined && ifVersion !== node.version) return STALE;
    if (node.folder && [...this.nodes.keys()].some((name) => name.startsWith(`${path}/`))) return EXISTS;
    this.nodes.delete(path);
    return OK;
  }

  async rename(from: string, to: string, replace: boolean): Promise<Outcome> {
    if (!isTreePath(from) || !isTreePath(to) || from === '' || to === '' || to.startsWith(`${from}/`)) return INVALID;
    const node = this.nodes.get(from);
    if (node === undefined || this.nodes.get(parentOf(to))?.folder !== true) return MISSING;
    if (from === to) return OK;
    const there = this.nodes.get(to);
    if (there !== undefined && (!replace || there.folder || node.folder)) return EXISTS;
    for (const [name, moved] of [...this.nodes]) {
      if (name !== from && !name.startsWith(`${from}/`)) continue;
      this.nodes.delete(name);
      this.nodes.set(to + name.slice(from.length), moved);
    }
    return OK;
  }

  read(path: string, start: number, end: number, sink: Sink): Reading {
    const node = this.nodes.get(path);
    return readBytes(node === undefined || node.folder ? null : node.bytes, start, end, sink, this.later);
  }

  async write(path: string, options: WriteOptions): Promise<TreeWriter | Outcome> {
    if (!isTreePath(path) || path === '') return INVALID;
    const there = this.nodes.get(path);
    if (there?.folder === true) return EXISTS;
    if (this.nodes.get(parentOf(path))?.folder !== true) return MISSING;
    const copy = copyName(path, options.owner);
    const begun = this.copies.get(copy) ?? ROOT.bytes;
    const offset = options.offset ?? 0;
    if (offset !== 0 && offset !== begun.length) return STALE;
    const former = offset === 0 ? ROOT.bytes : begun;
    this.copies.set(copy, former);
    const writer = new MemoryWriter(this.later, this.injected, (bytes, waiter, token) => {
      const outcome = this.appear(path, options, Buffer.concat([former, bytes ?? ROOT.bytes]));
      this.copies.delete(copy);
      waiter.settled(token, outcome, outcome === OK ? this.nodes.get(path)!.bytes.length : 0);
    });
    return {
      write: (input, start, end) => writer.write(input, start, end),
      get onRoom() {
        return writer.onRoom;
      },
      set onRoom(call) {
        writer.onRoom = call;
      },
      commit: (waiter: Waiter, token: number) => writer.commit(waiter, token),
      suspend: () => void this.copies.set(copy, Buffer.concat([former, writer.stop()])),
      abort: () => {
        writer.abort();
        this.copies.delete(copy);
      },
    };
  }

  async pending(path: string, owner: string): Promise<number | null> {
    return this.copies.get(copyName(path, owner))?.length ?? null;
  }

  private appear(path: string, options: WriteOptions, bytes: Buffer): Outcome {
    const version = this.nodes.get(path)?.version ?? '';
    if (options.ifVersion !== undefined && options.ifVersion !== version) return STALE;
    if (this.nodes.get(parentOf(path))?.folder !== true) return MISSING;
    this.set(path, false, bytes, options.modified);
    return OK;
  }

  private set(path: string, folder: boolean, bytes: Buffer, modified = this.wall()): void {
    this.nodes.set(path, { folder, bytes, modified, version: String(++this.versions) });
  }
}

function copyName(path: string, owner: string): string {
  return `${owner}\0${path}`;
}

function statOf(path: string, node: Node): Stat {
  return { path, folder: node.folder, size: node.bytes.length, modified: node.modified, version: node.version };
}
