// Loads that say themselves how much they did, and what the server spent on it.
import { readFileSync } from 'node:fs';
import type { Measured } from '../contest.ts';

/** Seconds of processor time that a process has used (proc(5)). */
function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Runs a load that says how much it did a second, and sees how much of its core the server used for it. */
export async function watched(pid: number, load: () => Promise<number>): Promise<Measured> {
  const [cpu, began] = [cpuOf(pid), performance.now()];
  const value = await load();
  const serverBusy = (cpuOf(pid) - cpu) / ((performance.now() - began) / 1_000);
  return { value, loaded: { perSecond: value, busy: 0, serverBusy } };
}
