// What a benchmark consists of: workloads, who takes part in them, and what is measured. It knows no protocol.
import type { ChildProcess } from 'node:child_process';

export type Policy = 'durable' | 'none';

/** What a server may hold on to for its run. */
export interface Scene {
  /** An empty folder, removed afterwards. */
  readonly folder: string;
  readonly policy: Policy;
  readonly timing: Timing;
  /** Starts a program on the core of the servers; it is ended with the scene. */
  serve(command: string, args: readonly string[], ready: Ready): Promise<Served>;
  /** Compiles `load/<name>.c` once and runs it on the core of the load; the figure is what it counted a second. */
  load(name: string, options: Readonly<Record<string, string | number>>): Promise<Measured>;
  /** Runs a program that is installed on the core of the load; answers what it printed. */
  ask(command: string, args: readonly string[]): Promise<string>;
  /** Runs a load until it says `ready`, then `during`, then lets it end. */
  hold(name: string, options: Readonly<Record<string, string | number>>, during: () => Promise<void>): Promise<void>;
}

export interface Timing {
  readonly warmMs: number;
  readonly runMs: number;
}

/** How it is known that a server listens: the first line that it prints, or its port takes a connection. */
export type Ready = { readonly line: true } | { readonly port: number };

export interface Served {
  readonly process: ChildProcess;
  readonly pid: number;
  /** The first line, when that is what was waited for. */
  readonly line: string;
}

export interface Loaded {
  readonly perSecond: number;
  /** Of one core, the load: near 1, it was the bottleneck. Null where that is not known. */
  readonly busy: number | null;
  /** Of one core, the server: far from 1, it waited, or somebody else had the core. */
  readonly serverBusy: number;
}

export interface Measured {
  readonly value: number;
  readonly loaded: Loaded | null;
}

export interface Server {
  /** The entrant's. */
  readonly name: string;
  readonly port: number;
  readonly pid: number;
  /** Which load generator it takes, where those of a workload differ. */
  readonly speaks: string;
}

/** Somebody who can be measured: Portico, or a peer. */
export interface Entrant {
  readonly name: string;
  /** What brings it, for the message that it is missing. */
  readonly comesWith: string;
  /** Its version or null when it is not installed. */
  find(): string | null;
  start(scene: Scene): Promise<Omit<Server, 'name'>>;
}

/** What a ratio must reach, and what it should. */
export interface Goal {
  readonly floor: number;
  readonly aim: number;
}

export interface Workload {
  readonly name: string;
  readonly unit: 'msg/s' | 'req/s' | 'MB/s' | 'files/s' | 'bytes' | 'ms';
  readonly policy: Policy;
  /** True: less is better, and the ratio is the peer's figure by Portico's. */
  readonly lessIsBetter?: boolean;
  /** Portico first. */
  readonly entrants: readonly Entrant[];
  /** By peer; a goal of Portico's own figure stands under `portico`. */
  readonly goals: Readonly<Record<string, Goal>>;
  /** Left out by `--quick`. */
  readonly long?: boolean;
  measure(scene: Scene, server: Server): Promise<Measured>;
}

/** One line of `--json`. */
export interface Line {
  readonly bench: string;
  readonly workload: string;
  readonly unit: string;
  readonly portico: number;
  readonly peer: string;
  readonly peerValue: number | null;
  readonly ratio: number | null;
  readonly native: boolean;
  readonly policy: Policy;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
