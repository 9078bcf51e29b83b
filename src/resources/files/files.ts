// The files: one tree made of the server's own folder and of folders of elsewhere, under rules, quotas and locks, with an
// event for whatever is complete, moved or gone. It knows no protocol.
import type { Caller } from '../../core/caller.ts';
import { BUSY, DENIED, EXISTS, FAILED, FULL, INVALID, MISSING, OK, type Outcome, STALE } from '../../core/outcome.ts';
import type { FileStat, FileTree, FileWriteOptions, TreeFile } from '../../storage/engine.ts';
import { Bucket, slowed } from './bandwidth.ts';
import type * as C from './contract.ts';
import { Former, type FormerHost } from './former.ts';
import type { FormerRecords } from './former-records.ts';
import { Hashes } from './hashes.ts';
import { Incoming } from './incoming.ts';
import { FILE_LIMITS } from './limits.ts';
import { FileLocks } from './locks.ts';
import type { FilesOptions } from './open.ts';
import type { KeptProperties } from './properties.ts';
import { Quotas } from './quotas.ts';
import { type FileVerb, HOMES, homeOf, ownerOf, type Rights } from './rights.ts';
import { copyAll, type Keeping, moveAcross } from './transfers.ts';
import { type Place, pathOf, type Trees } from './trees.ts';
import { eachBelow } from './walks.ts';

type Told = (event: C.FileEvent) => void;

export class TreeFiles implements C.Files {
  readonly locks: FileLocks;
  readonly former: Former;
  noticing: Promise<unknown> = Promise.resolve();
  private readonly trees: Trees;
  private readonly rights: Rights;
  readonly quotas: Quotas;
  private readonly kept: KeptProperties;
  private readonly hashes = new Hashes();
  private readonly told: Told;
  private readonly wall: () => number;
  private readonly bytesPerSecond: number;
  private readonly buckets = new Map<string, { readonly read: Bucket; readonly write: Bucket }>();

  constructor(options: FilesOptions, trees: Trees, rights: Rights, kept: KeptProperties, records: FormerRecords) {
    this.trees = trees;
    this.rights = rights;
    this.kept = kept;
    this.told = options.told;
    this.wall = options.wall;
    this.bytesPerSecond = options.bytesPerSecond ?? 0;
    this.former = new Former(options.keep ?? [], records, trees, this.formerHost(), options.wall);
    this.quotas = new Quotas(options.quotas ?? [], trees, options.wall, (folder) => this.former.bytesBeside(folder));
    this.locks = new FileLocks((caller, path) => rights.check(caller, 'write', path), options.wall);
  }

  private formerHost(): FormerHost {
    const { rights } = this;
    return {
      mayChange: (caller, verb, path) => this.mayChange(caller, verb, path),
      check: (caller, verb, path) => rights.check(caller, verb, path),
      mayBelow: (caller, verb, path) => rights.mayBelow(caller, verb, path),
      lists: (caller, path) => (rights.lists(caller, path) ? OK : rights.refusal(caller)),
      reach: (caller, verb, path) => this.reach(caller, verb, path),
      carried: (from, to) => (to === null ? this.kept.forget(from) : this.kept.moved(from, to)),
      makeParents: (caller, path) => this.makeParents(caller, path),
      returned: (caller, place, folder) => this.returned(caller, place, folder),
      opened: (caller, place, file) => this.openFile(caller, place, file, { ...file.stat, path: place.inner }),
      counted: (path, bytes) => this.quotas.changed(path, bytes),
      fits: (from, to, bytes) => this.quotas.fits(from, to, bytes),
    };
  }

  homeOf(caller: Caller): string {
    return homeOf(caller);
  }

  may(caller: Caller, verb: 'read' | 'write' | 'delete' | 'list', path: string): boolean {
    return this.rights.may(caller, verb, path);
  }

  /**
   * Where a path really is, when the caller may do that there too: a link gives nobody more than the rules do. `keep`: a
   * link at its end is meant itself.
   */
  private async reach(
    caller: Caller,
    verb: FileVerb,
    path: string,
    last: 'follow' | 'keep' = 'follow',
  ): Promise<Place | Outcome> {
    const place = this.trees.find(path);
    const { tree, inner, before } = place;
    const folder = inner.slice(0, Math.max(0, inner.lastIndexOf('/')));
    const real = last === 'follow' ? await tree.realPath(inner) : await tree.realPath(folder);
    if (typeof real === 'number') return real;
    const whole = last === 'follow' || inner === '' ? real : joined(real, nameOf(inner));
    if (whole === inner) return place;
    const may = this.rights.check(caller, verb, pathOf(before, whole));
    return may === OK ? { ...place, inner: whole } : MISSING;
  }

  // ---- looking -----------------------------------------------------------------------------------------------------

  async stat(caller: Caller, path: string, follow = true): Promise<C.FileFacts | Outcome> {
    if (!this.rights.sees(caller, path)) return this.rights.refusal(caller);
    await this.ownHome(caller, path);
    const place = this.trees.find(path);
    const stat = await place.tree.stat(place.inner, follow);
    if (stat === null || (stat.real !== place.inner && !this.rights.sees(caller, pathOf(place.before, stat.real))))
      return MISSING;
    return this.facts(caller, place, stat);
  }

  async realPath(caller: Caller, path: string): Promise<string | Outcome> {
    if (!this.rights.sees(caller, path)) return this.rights.refusal(caller);
    const { tree, inner, before } = this.trees.find(path);
    const real = await tree.realPath(inner);
    if (typeof real === 'number') return real;
    const whole = pathOf(before, real);
    return this.rights.sees(caller, whole) ? whole : MISSING;
  }

  async list(caller: Caller, path: string, after: string, most: number): Promise<C.FilePage | Outcome> {
    if (!this.rights.lists(caller, path)) return this.rights.refusal(caller);
    await this.ownHome(caller, path);
    const place = await this.reach(caller, 'list', path);
    if (typeof place === 'number') return place;
    const stat = await place.tree.stat(place.inner);
    if (stat === null) return MISSING;
    if (!stat.folder) return INVALID;
    const page = await place.tree.list(place.inner, after, most);
    if (page === null) return MISSING;
    let facts = await this.shown(caller, place, page);
    let next = page.length < most ? null : nameOf(page.at(-1)!.path);
    if (path === '') {
      const upTo = next;
      const mounts = (await this.mountFacts(caller)).filter(
        ({ name }) => name > after && (upTo === null || name <= upTo),
      );
      facts = [...facts, ...mounts].sort((a, b) => (a.name < b.name ? -1 : 1));
      if (facts.length > most) next = facts[most - 1]!.name;
      facts = facts.slice(0, most);
    }
    return { entries: facts, next };
  }

  async openFolder(caller: Caller, path: string): Promise<C.OpenFolder | Outcome> {
    if (!this.rights.lists(caller, path)) return this.rights.refusal(caller);
    await this.ownHome(caller, path);
    const place = await this.reach(caller, 'list', path);
    if (typeof place === 'number') return place;
    const folder = await place.tree.openFolder(place.inner);
    if (typeof folder === 'number') return folder;
    let first = path === '' ? await this.mountFacts(caller) : [];
    return {
      next: async (most) => {
        if (first.length > 0) {
          const given = first.slice(0, most);
          first = first.slice(most);
          return given;
        }
        for (;;) {
          const page = await folder.next(Math.min(most, FILE_LIMITS.pageMax));
          const shown = await this.shown(caller, place, page);
          if (shown.length > 0 || page.length === 0) return shown;
        }
      },
      close: () => folder.close(),
    };
  }

  async open(caller: Caller, path: string): Promise<C.OpenFile | Outcome> {
    const may = this.rights.check(caller, 'read', path);
    if (may !== OK) return may;
    const place = this.trees.find(path);
    const file = await place.tree.open(place.inner);
    if (typeof file === 'number') {
      // Not even what it is, is told of what a link leads to that the caller may not read.
      const real = await this.reach(caller, 'read', path);
      return typeof real === 'number' ? real : file;
    }
    if (file.stat.real !== place.inner && !this.rights.may(caller, 'read', pathOf(place.before, file.stat.real))) {
      file.close();
      return MISSING;
    }
    return this.openFile(caller, place, file);
  }

  private openFile(caller: Caller, place: Place, file: TreeFile, stat = file.stat): C.OpenFile {
    const bucket = this.bucketOf(caller)?.read ?? null;
    return {
      facts: this.facts(caller, place, stat),
      size: stat.size,
      fd: bucket === null ? file.fd : -1,
      read: (start, end, sink) =>
        bucket === null ? file.read(start, end, sink) : slowed(bucket, sink, (slow) => file.read(start, end, slow)),
      close: () => file.close(),
    };
  }

  async hash(caller: Caller, path: string, algorithm: C.Algorithm, start = 0, end = Number.POSITIVE_INFINITY) {
    const may = this.rights.check(caller, 'read', path);
    if (may !== OK) return may;
    const place = await this.reach(caller, 'read', path);
    if (typeof place === 'number') return place;
    const file = await place.tree.open(place.inner);
    if (typeof file === 'number') return file;
    const upTo = Math.min(end, file.stat.size);
    const hex = await this.hashes.of(file, algorithm, Math.min(start, upTo), upTo);
    file.close();
    return typeof hex === 'string' ? { hex, end: upTo } : hex;
  }

  async space(caller: Caller, path: string): Promise<C.Space | Outcome> {
    if (!this.rights.sees(caller, path)) return this.rights.refusal(caller);
    try {
      const { total, free } = await this.trees.find(path).tree.space();
      const quota = this.quotas.of(path);
      if (quota === null) return { total, free, used: total - free, hasQuota: false };
      const used = await this.quotas.used(quota.folder);
      const left = Math.max(0, Math.min(free, quota.bytes - used));
      return { total: used + left, free: left, used, hasQuota: true };
    } catch {
      return FAILED;
    }
  }

  async search(caller: Caller, path: string, text: string, found: (facts: C.FileFacts) => boolean): Promise<Outcome> {
    if (!this.rights.lists(caller, path)) return this.rights.refusal(caller);
    const place = await this.reach(caller, 'list', path);
    if (typeof place === 'number') return place;
    const wanted = text.toLowerCase();
    const visit = async (stat: FileStat) => {
      const isIt =
        nameOf(stat.path).toLowerCase().includes(wanted) && this.rights.sees(caller, place.before + stat.path);
      return isIt && !found(this.facts(caller, place, stat)) ? BUSY : OK;
    };
    const outcome = await eachBelow(place.tree, place.inner, visit, 'folders-first');
    return outcome === BUSY ? OK : outcome;
  }

  private async shown(caller: Caller, place: Place, page: readonly FileStat[]): Promise<C.FileFacts[]> {
    const facts: C.FileFacts[] = [];
    for (const stat of page) {
      const path = place.before + stat.path;
      if (!this.rights.sees(caller, path) || (place.before === '' && this.trees.mounts.has(path))) continue;
      // Listings show what a link leads to, and that it is one; the link itself where that is nothing of ours.
      const target = stat.link === null ? null : await place.tree.stat(stat.path);
      const isOwn = target === null || !this.rights.sees(caller, pathOf(place.before, target.real));
      const all = isOwn ? stat : { ...target, path: stat.path, link: stat.link };
      facts.push(this.facts(caller, place, all));
    }
    return facts;
  }

  private async mountFacts(caller: Caller): Promise<C.FileFacts[]> {
    const found: C.FileFacts[] = [];
    for (const name of [...this.trees.mounts.keys()].sort()) {
      if (!this.rights.sees(caller, name)) continue;
      const place = this.trees.find(name);
      const stat = await place.tree.stat('');
      if (stat !== null) found.push(this.facts(caller, place, stat));
    }
    return found;
  }

  private facts(caller: Caller, { before, readOnly }: Place, stat: FileStat): C.FileFacts {
    const path = pathOf(before, stat.path);
    const writable = !readOnly && this.rights.may(caller, 'write', path);
    const removable = !readOnly && path !== '' && stat.path !== '' && this.rights.may(caller, 'delete', path);
    return { ...stat, path, name: nameOf(path), owner: ownerOf(path), writable, removable };
  }

  /** A home is made when its account first comes to it. */
  private async ownHome(caller: Caller, path: string): Promise<void> {
    const home = homeOf(caller);
    if (home === '' || (path !== home && path !== HOMES && !path.startsWith(`${home}/`))) return;
    if (this.homes.has(home) || !this.rights.may(caller, 'write', home)) return;
    await this.trees.main.makeFolder(HOMES);
    const made = await this.trees.main.makeFolder(home);
    if (made === OK || made === EXISTS) this.homes.add(home);
    if (this.homes.size > HOMES_KNOWN_MAX) this.homes.clear();
  }

  private readonly homes = new Set<string>();

  // ---- files on their way in ---------------------------------------------------------------------------------------

  async write(caller: Caller, path: string, wish: C.WriteWish): Promise<C.IncomingFile | Outcome> {
    const may = this.mayChange(caller, 'write', path, wish.locks);
    if (may !== OK) return may;
    await this.ownHome(caller, path);
    if (wish.folders === true) {
      const made = await this.makeParents(caller, path, wish.locks);
      if (made !== OK) return made;
    }
    const place = await this.reach(caller, 'write', path);
    if (typeof place === 'number') return place;
    if ((wish.length ?? 0) > (await this.quotas.room(path))) return FULL;
    const former = await place.tree.stat(place.inner);
    const keep = this.former.keepFor(pathOf(place.before, place.inner));
    const begun = await this.begin(place, former, wish, ownerKey(caller, wish.upload), keep);
    if (typeof begun === 'number') return begun;
    const terms = {
      bucket: this.bucketOf(caller)?.write ?? null,
      reserve: (bytes: number) => this.quotas.reserve(path, bytes),
      mayAppear: () => this.mayChange(caller, 'write', path, wish.locks),
      appeared: () => this.appeared(caller, place, former?.size ?? 0, keep),
    };
    const incoming = new Incoming(begun, terms);
    const fresh = wish.begin === 'fresh';
    if (!fresh) return incoming;
    const commit = incoming.commit.bind(incoming);
    incoming.commit = async () => {
      const outcome = await commit();
      return outcome === STALE ? EXISTS : outcome;
    };
    return incoming;
  }

  private async begin(place: Place, former: FileStat | null, wish: C.WriteWish, owner: string, keep?: string) {
    const { tree, inner } = place;
    const { begin, offset = 0, ifVersion, modified } = wish;
    if (begin === 'fresh' && former !== null) return EXISTS;
    const options: FileWriteOptions = {
      owner,
      ...(ifVersion === undefined ? {} : { ifVersion }),
      ...(begin === 'fresh' ? { ifVersion: '' } : {}),
      ...(modified === undefined ? {} : { modified }),
      ...(keep === undefined ? {} : { keep }),
    };
    if (begin === 'edit') return tree.write(inner, { ...options, edit: true });
    if (begin === 'append' || (begin === 'resume' && offset > 0)) {
      if (begin === 'resume' && (await tree.pending(inner, owner)) === offset)
        return tree.write(inner, { ...options, offset });
      if (begin === 'resume' && (former === null || former.size < offset)) return STALE;
      if (former === null) return tree.write(inner, options);
      const writer = await tree.write(inner, { ...options, edit: true });
      if (typeof writer === 'number') return writer;
      if (begin === 'resume' && writer.size > offset) writer.truncate(offset);
      writer.seek(begin === 'resume' ? offset : writer.size);
      return writer;
    }
    return tree.write(inner, options);
  }

  private async appeared(caller: Caller, place: Place, before: number, keep?: string): Promise<C.FileFacts | Outcome> {
    const kept = await this.former.note(caller, place, pathOf(place.before, place.inner), keep);
    const stat = await place.tree.stat(place.inner);
    if (stat === null) return MISSING;
    const facts = this.facts(caller, place, stat);
    this.quotas.changed(facts.path, facts.size - before + kept);
    const { path, size, modified, version } = facts;
    this.told({ event: 'complete', path, size, modified, version, by: caller.account });
    return facts;
  }

  /** What was deleted or overwritten is there again. */
  private async returned(caller: Caller, place: Place, folder: boolean): Promise<C.FileFacts | Outcome> {
    const path = pathOf(place.before, place.inner);
    const stat = await place.tree.stat(place.inner, false);
    if (stat === null) return MISSING;
    const { size, modified, version } = stat;
    if (folder) this.told({ event: 'folder', path, by: caller.account });
    else this.told({ event: 'complete', path, size, modified, version, by: caller.account });
    return this.facts(caller, place, stat);
  }

  async pending(caller: Caller, path: string, upload?: string): Promise<C.PendingUpload | null> {
    if (!this.rights.may(caller, 'write', path)) return null;
    const place = await this.reach(caller, 'write', path);
    if (typeof place === 'number') return null;
    const { tree, inner } = place;
    const owner = ownerKey(caller, upload);
    const size = await tree.pending(inner, owner);
    const since = size === null ? null : await tree.pendingSince(inner, owner);
    return size === null || since === null ? null : { size, expires: since + FILE_LIMITS.pendingMs };
  }

  async dropPending(caller: Caller, path: string, upload?: string): Promise<Outcome> {
    const may = this.rights.check(caller, 'write', path);
    if (may !== OK) return may;
    const place = await this.reach(caller, 'write', path);
    if (typeof place === 'number') return place;
    const { tree, inner } = place;
    return tree.dropPending(inner, ownerKey(caller, upload));
  }

  // ---- changes -----------------------------------------------------------------------------------------------------

  private mayChange(caller: Caller, verb: 'write' | 'delete', path: string, locks?: readonly string[]): Outcome {
    const may = this.rights.check(caller, verb, path);
    if (may !== OK) return may;
    if (this.trees.find(path).readOnly) return DENIED;
    return this.locks.blocks(path, locks) ? BUSY : OK;
  }

  private async makeParents(caller: Caller, path: string, locks?: readonly string[]): Promise<Outcome> {
    const levels = path.split('/');
    for (let depth = 1; depth < levels.length; depth++) {
      const folder = levels.slice(0, depth).join('/');
      const { tree, inner } = this.trees.find(folder);
      const stat = inner === '' ? null : await tree.stat(inner);
      if (inner === '' || stat?.folder === true) continue;
      if (stat !== null) return EXISTS;
      const made = await this.makeFolder(caller, folder, locks === undefined ? {} : { locks });
      if (made !== OK && made !== EXISTS) return made;
    }
    return OK;
  }

  async makeFolder(caller: Caller, path: string, options: C.ChangeOptions = {}): Promise<Outcome> {
    const may = this.mayChange(caller, 'write', path, options.locks);
    if (may !== OK) return may;
    await this.ownHome(caller, path);
    const place = await this.reach(caller, 'write', path);
    if (typeof place === 'number') return place;
    const { tree, inner, before } = place;
    const outcome = await tree.makeFolder(inner);
    if (outcome === OK) this.told({ event: 'folder', path: pathOf(before, inner), by: caller.account });
    return outcome;
  }

  async remove(caller: Caller, path: string, options: C.ChangeOptions = {}): Promise<Outcome> {
    const may = this.mayChange(caller, 'delete', path, options.locks);
    if (may !== OK) return may;
    const place = await this.reach(caller, 'delete', path, 'keep');
    if (typeof place === 'number') return place;
    const { tree, inner, before } = place;
    if (inner === '') return DENIED;
    path = pathOf(before, inner);
    const stat = await tree.stat(inner, false);
    if (stat === null) return MISSING;
    const isDeep = options.deep === true && stat.folder;
    if (isDeep) {
      const mayAll = this.rights.mayBelow(caller, 'delete', path);
      if (mayAll !== OK) return mayAll;
    }
    if (this.locks.blocks(path, options.locks, true)) return BUSY;
    if (options.ifVersion !== undefined && options.ifVersion !== stat.version) return STALE;
    const isTrash = options.forever !== true && this.former.trashDays(path) > 0;
    const outcome = isTrash
      ? await this.throwAway(caller, place, stat, isDeep)
      : await this.removeAll(place, stat, isDeep, options.ifVersion);
    if (outcome !== OK) return outcome;
    await this.kept.forget(path);
    this.locks.forget(path);
    this.told({ event: 'gone', path, by: caller.account });
    return OK;
  }

  private async throwAway(caller: Caller, place: Place, stat: FileStat, isDeep: boolean): Promise<Outcome> {
    if (stat.folder && !isDeep) {
      const some = await place.tree.list(place.inner, '', 1);
      if (some !== null && some.length > 0) return EXISTS;
    }
    return this.former.throwAway(caller, place, pathOf(place.before, place.inner), stat);
  }

  private async removeAll({ tree, inner, before }: Place, stat: FileStat, isDeep: boolean, ifVersion?: string) {
    const path = pathOf(before, inner);
    if (isDeep) {
      const outcome = await eachBelow(tree, inner, (each) => tree.remove(each.path), 'folders-last');
      this.quotas.forget(path);
      if (outcome !== OK) return outcome;
    }
    const outcome = await tree.remove(inner, isDeep ? undefined : ifVersion);
    if (outcome !== OK) return outcome;
    if (!stat.folder) this.quotas.changed(path, -stat.size);
    await this.former.forget(path);
    return OK;
  }

  async move(caller: Caller, from: string, to: string, options: C.ChangeOptions = {}): Promise<Outcome> {
    const mayGo = this.mayChange(caller, 'delete', from, options.locks);
    if (mayGo !== OK) return mayGo;
    const mayCome = this.mayChange(caller, 'write', to, options.locks);
    if (mayCome !== OK) return mayCome;
    await this.ownHome(caller, to);
    const source = await this.reach(caller, 'delete', from, 'keep');
    if (typeof source === 'number') return source;
    const target = await this.reach(caller, 'write', to, 'keep');
    if (typeof target === 'number') return target;
    if (source.inner === '' || target.inner === '') return DENIED;
    from = pathOf(source.before, source.inner);
    to = pathOf(target.before, target.inner);
    const stat = await source.tree.stat(source.inner, false);
    if (stat === null) return MISSING;
    if (options.ifVersion !== undefined && options.ifVersion !== stat.version) return STALE;
    if (stat.folder) {
      for (const [verb, path] of [
        ['delete', from],
        ['read', from],
        ['write', to],
      ] as const) {
        const mayAll = this.rights.mayBelow(caller, verb, path);
        if (mayAll !== OK) return mayAll;
      }
    } else if (!this.rights.may(caller, 'read', from)) return this.rights.refusal(caller);
    if (this.locks.blocks(from, options.locks, true) || this.locks.blocks(to, options.locks, true)) return BUSY;
    if (!stat.folder && !(await this.quotas.fits(from, to, stat.size))) return FULL;
    const keep = this.former.keepFor(to);
    const outcome =
      source.tree === target.tree
        ? await source.tree.rename(source.inner, target.inner, options.replace === true, keep)
        : await moveAcross(this.keeping(caller), source, stat, target, options.replace === true);
    if (outcome !== OK || from === to) return outcome;
    await this.former.moved(from, to);
    await this.former.note(caller, target, to, keep);
    this.quotas.forget(from);
    this.quotas.forget(to);
    await this.kept.forget(to);
    await this.kept.moved(from, to);
    this.locks.forget(from);
    this.told({ event: 'moved', path: to, from, by: caller.account });
    return OK;
  }

  async copy(caller: Caller, from: string, to: string, options: C.ChangeOptions = {}): Promise<Outcome> {
    const mayRead = this.rights.check(caller, 'read', from);
    if (mayRead !== OK) return mayRead;
    const mayCome = this.mayChange(caller, 'write', to, options.locks);
    if (mayCome !== OK) return mayCome;
    await this.ownHome(caller, to);
    if (from === to || to.startsWith(`${from}/`)) return INVALID;
    const source = await this.reach(caller, 'read', from);
    if (typeof source === 'number') return source;
    const target = await this.reach(caller, 'write', to);
    if (typeof target === 'number') return target;
    const stat = await source.tree.stat(source.inner);
    if (stat === null) return MISSING;
    if (stat.folder) {
      for (const [verb, path] of [
        ['read', from],
        ['write', to],
      ] as const) {
        const mayAll = this.rights.mayBelow(caller, verb, path);
        if (mayAll !== OK) return mayAll;
      }
    }
    if (this.locks.blocks(to, options.locks, true)) return BUSY;
    if (stat.size > (await this.quotas.room(to))) return FULL;
    const outcome = await copyAll(
      this.keeping(caller),
      source,
      { ...stat, path: source.inner },
      target,
      options.replace === true,
      options.deep === true,
    );
    this.quotas.forget(to);
    if (outcome !== OK) return outcome;
    await this.kept.copied(from, to);
    if (stat.folder) this.told({ event: 'folder', path: to, by: caller.account });
    else await this.appeared(caller, target, 0);
    return OK;
  }

  async setAttributes(
    caller: Caller,
    path: string,
    attributes: C.Attributes,
    options: C.ChangeOptions = {},
  ): Promise<Outcome> {
    const may = this.mayChange(caller, 'write', path, options.locks);
    if (may !== OK) return may;
    const place = await this.reach(caller, 'write', path);
    if (typeof place === 'number') return place;
    const { tree, inner } = place;
    const { size, modified, mode } = attributes;
    if (size !== undefined) {
      const writer = await this.write(caller, path, { ...options, begin: 'edit' });
      if (typeof writer === 'number') return writer;
      writer.truncate(size);
      const done = await writer.commit();
      if (typeof done === 'number') return done;
    }
    if (modified === undefined && mode === undefined) return OK;
    return tree.set(inner, {
      ...(modified === undefined ? {} : { modified }),
      ...(mode === undefined ? {} : { mode }),
    });
  }

  async link(caller: Caller, path: string, target: string): Promise<Outcome> {
    const may = this.mayChange(caller, 'write', path);
    if (may !== OK) return may;
    const place = await this.reach(caller, 'write', path, 'keep');
    if (typeof place === 'number') return place;
    const { tree, inner, before } = place;
    const within = before !== '' && target.startsWith(`/${before}`) ? target.slice(before.length) : target;
    return tree.link(inner, within);
  }

  async properties(caller: Caller, path: string): Promise<C.Properties | Outcome> {
    return this.rights.sees(caller, path) ? this.kept.of(path) : this.rights.refusal(caller);
  }

  async setProperties(
    caller: Caller,
    path: string,
    changes: Readonly<Record<string, string | null>>,
    options: C.ChangeOptions = {},
  ): Promise<Outcome> {
    const may = this.mayChange(caller, 'write', path, options.locks);
    return may === OK ? this.kept.set(path, changes) : may;
  }

  private keeping(caller: Caller): Keeping {
    return { caller, former: this.former, kept: this.kept };
  }

  // ---- the rest ----------------------------------------------------------------------------------------------------

  private bucketOf({ account }: Caller): { readonly read: Bucket; readonly write: Bucket } | null {
    if (this.bytesPerSecond === 0) return null;
    let found = this.buckets.get(account);
    if (found === undefined) {
      const now = () => performance.now();
      found = { read: new Bucket(this.bytesPerSecond, now), write: new Bucket(this.bytesPerSecond, now) };
      this.buckets.set(account, found);
    }
    return found;
  }

  /** Drops what was left too long. */
  async sweep(): Promise<void> {
    for (const tree of this.trees.all) await tree.sweepPending(this.wall() - FILE_LIMITS.pendingMs);
    await this.former.sweep();
  }

  async close(): Promise<void> {
    for (const { read, write } of this.buckets.values()) {
      read.stop();
      write.stop();
    }
    await Promise.all(this.trees.all.map((tree: FileTree) => tree.close()));
  }
}

/** Homes that are known to be there. */
const HOMES_KNOWN_MAX = 10_000;

function joined(folder: string, name: string): string {
  return folder === '' ? name : `${folder}/${name}`;
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** Whose pending copies these are: an account's, told apart by name. */
function ownerKey({ account }: Caller, upload = ''): string {
  return `${account}\0${upload}`;
}
