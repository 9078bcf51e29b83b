// What the lab measures, in simulated time and from seeds: the first answer, answers in a row over a path that loses, one large
// answer, and an address that changes under it.
import { DatagramNetwork } from '../sim/datagrams.ts';
import { World } from '../sim/world.ts';
import { type Contender, type Dialled, get, type Path, type Requests, type Scene } from './contender.ts';

export interface Figure {
  readonly experiment: string;
  readonly setting: string;
  readonly contender: string;
  readonly unit: string;
  /** The median of the seeds. */
  readonly value: number;
}

/** Longer than anything here takes. */
const GIVEN_UP_MS = 600_000;
const STEP_MS = 1;

/** What Ethernet takes of a datagram, IPv4 and UDP taken off. */
const ETHERNET = { mtu: 1_472 };

function sceneOf(seed: number, path: Path): Scene {
  const world = new World(seed);
  return {
    world,
    network: new DatagramNetwork(world, { ...ETHERNET, ...path }),
    client: { host: '10.0.0.2', port: 20_000 },
  };
}

/** Passes time until it is done; the milliseconds it took, or Infinity. */
function until({ world }: Scene, done: () => boolean): number {
  const began = world.now();
  while (!done()) {
    if (world.now() - began > GIVEN_UP_MS) return Number.POSITIVE_INFINITY;
    world.pass(STEP_MS);
  }
  if (world.bugs.length > 0) throw new Error(world.bugs[0]);
  return world.now() - began;
}

function dialled(contender: Contender, scene: Scene, resumed = false) {
  const made: { connection: Requests | null; link: Dialled; isGone: boolean } = {
    connection: null,
    link: null as never,
    isGone: false,
  };
  made.link = contender.dial(scene, {
    resumed,
    ready: (connection) => {
      made.connection = connection;
    },
    gone: () => {
      made.isGone = true;
    },
  });
  return made;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}

function percentile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

/** From dialling to the first byte of a small answer. */
export function firstByte(contender: Contender, seed: number, path: Path, resumed: boolean): number {
  const scene = sceneOf(seed, path);
  contender.serve(scene);
  if (resumed) {
    const before = dialled(contender, scene);
    until(scene, () => before.connection !== null);
    scene.world.pass(1_000);
    before.link.close();
    scene.client = { ...scene.client, port: scene.client.port + 1 };
  }
  let came = false;
  let asked = false;
  const told = { bytes: () => void (came = true), done() {}, failed() {} };
  const own = dialled(contender, scene, resumed);
  return until(scene, () => {
    if (own.connection !== null && !asked) asked = get(own.connection, '/bytes/1000', told);
    return came;
  });
}

/** How long each of many small answers takes, asked one every `everyMs` on streams of their own. */
export function answersInARow(
  contender: Contender,
  seed: number,
  path: Path,
  count: number,
  everyMs: number,
): number[] {
  const scene = sceneOf(seed, { ...path, loss: 0 });
  contender.serve(scene);
  const own = dialled(contender, scene);
  until(scene, () => own.connection !== null);
  scene.world.pass(1_000);
  scene.network.options = { ...ETHERNET, ...path };
  const took: number[] = [];
  let over = 0;
  for (let index = 0; index < count; index++) {
    const asked = scene.world.now();
    const ended = () => void over++;
    const done = () => {
      took.push(scene.world.now() - asked);
      ended();
    };
    if (!get(own.connection!, '/bytes/1000', { bytes() {}, done, failed: ended })) ended();
    scene.world.pass(everyMs);
  }
  until(scene, () => over === count);
  return took;
}

/** One answer of `size` bytes, from asking to its last byte. */
export function oneLarge(contender: Contender, seed: number, path: Path, size: number): number {
  const scene = sceneOf(seed, path);
  contender.serve(scene);
  const own = dialled(contender, scene);
  until(scene, () => own.connection !== null);
  let isDone = false;
  get(own.connection!, `/bytes/${size}`, { bytes() {}, done: () => void (isDone = true), failed() {} });
  return until(scene, () => isDone);
}

/**
 * The longest silence around a change of the client's address in the middle of an answer, and bytes that had to be asked for on a new
 * connection. Where the connection does not outlive it, the client knows at once and dials again.
 */
export function moving(
  contender: Contender,
  seed: number,
  path: Path,
  size: number,
): { silence: number; again: boolean } {
  const scene = sceneOf(seed, path);
  contender.serve(scene);
  let own = dialled(contender, scene);
  until(scene, () => own.connection !== null);
  let isDone = false;
  let came = 0;
  let lastAt = scene.world.now();
  let silence = 0;
  const told = {
    bytes(count: number) {
      came += count;
      if (movedAt > 0) silence = Math.max(silence, scene.world.now() - lastAt);
      lastAt = scene.world.now();
    },
    done: () => void (isDone = true),
    failed() {},
  };
  let movedAt = 0;
  get(own.connection!, `/bytes/${size}`, told);
  until(scene, () => came >= size / 2);
  scene.client = { host: '10.0.7.7', port: 30_000 };
  movedAt = lastAt = scene.world.now();
  const again = !own.link.move();
  if (again) {
    own = dialled(contender, scene, true);
    until(scene, () => own.connection !== null);
    const had = came;
    get(own.connection!, `/bytes/${size}?from=${had}`, told);
  }
  until(scene, () => isDone);
  return { silence, again };
}

export interface Plan {
  readonly seeds: number;
  readonly latencyMs: number;
  /** In parts of 1. */
  readonly losses: readonly number[];
}

const ROW_COUNT = 200;
const ROW_EVERY_MS = 50;
const LARGE_BYTES = 1_000_000;

/** All experiments with all contenders, told as they come. */
export function* measure(contenders: readonly Contender[], plan: Plan): Generator<Figure, undefined> {
  const { latencyMs, losses } = plan;
  const seeds = Array.from({ length: plan.seeds }, (_, index) => index + 1);
  const path = { latencyMs };
  for (const resumed of [false, true]) {
    for (const contender of contenders) {
      const value = median(seeds.map((seed) => firstByte(contender, seed, path, resumed)));
      const setting = resumed ? 'to a server that is known' : 'to a new server';
      yield { experiment: 'the first byte', setting, contender: contender.name, unit: 'ms', value };
    }
  }
  for (const loss of losses) {
    const setting = `${Math.round(loss * 1_000) / 10}% lost`;
    for (const contender of contenders) {
      const all = seeds.flatMap((seed) => answersInARow(contender, seed, { ...path, loss }, ROW_COUNT, ROW_EVERY_MS));
      const named = { experiment: 'small answers in a row', contender: contender.name, unit: 'ms' };
      yield { ...named, setting: `${setting}, the median`, value: median(all) };
      yield { ...named, setting: `${setting}, the slowest of 20`, value: percentile(all, 0.95) };
      yield { ...named, setting: `${setting}, the slowest of 100`, value: percentile(all, 0.99) };
    }
  }
  for (const loss of losses) {
    for (const contender of contenders) {
      const value = median(seeds.map((seed) => oneLarge(contender, seed, { ...path, loss }, LARGE_BYTES)));
      const setting = `${Math.round(loss * 1_000) / 10}% lost`;
      yield { experiment: 'one answer of 1 MB', setting, contender: contender.name, unit: 'ms', value };
    }
  }
  for (const contender of contenders) {
    const runs = seeds.map((seed) => moving(contender, seed, path, LARGE_BYTES));
    const value = median(runs.map(({ silence }) => silence));
    const named = { experiment: 'the client’s address changes', contender: contender.name };
    yield { ...named, setting: 'in the middle of 1 MB: silence', unit: 'ms', value };
    const again = runs.filter((run) => run.again).length;
    yield { ...named, setting: 'connections that took', unit: 'connections', value: 1 + again / runs.length };
  }
}
