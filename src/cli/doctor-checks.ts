// What `portico doctor` looks at, one function a matter. Each answers findings, and changes nothing.
import { accessSync, constants, existsSync, readdirSync, type Stats, statfsSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Config } from '../config.ts';
import { callControl } from '../control/client.ts';
import { controlPath } from '../control/place.ts';
import type { Status } from '../control/words.ts';
import { addressText } from '../core/peer.ts';
import { NO_EVENTS, PIPE_BOUNDS } from '../core/stream-pipe.ts';
import { NEVER } from '../core/time.ts';
import { type PlannedPort, VERSION } from '../portico.ts';
import { openTcp, openUdpPorts } from '../server/doors.ts';
import { REGISTRY_LIMITS } from '../server/registry.ts';
import { lockHolder } from '../storage/sqlite/lock.ts';
import { controlTurn, unreachable } from './control-call.ts';

export interface Finding {
  readonly check:
    | 'node'
    | 'native'
    | 'configuration'
    | 'data'
    | 'disk'
    | 'server'
    | 'ports'
    | 'clock'
    | 'descriptors'
    | 'certificates';
  readonly result: 'ok' | 'warn' | 'fail';
  readonly text: string;
  /** What to do; where nothing is to be done there is none. */
  readonly mend?: string;
}

const NODE_MAJOR = 26;

export function checkNode(version = process.versions.node): Finding {
  const text = `Node ${version} runs it`;
  if (Number(version.split('.')[0]) >= NODE_MAJOR) return { check: 'node', result: 'ok', text };
  return { check: 'node', result: 'fail', text, mend: `use Node ${NODE_MAJOR} or newer; npm ci brings one along` };
}

// ---- the data folder -----------------------------------------------------------------------------------------------

/** @param status of the server that runs there, null when none answers */
export function checkData({ data, storage }: Config, status: Status | null): Finding[] {
  const check = 'data';
  if (storage === 'memory') return [{ check, result: 'ok', text: 'in memory: there is no data folder' }];
  if (!existsSync(data)) {
    const parent = firstThatIs(data);
    return isWritable(parent)
      ? [{ check, result: 'ok', text: `${data} is not there yet; portico up makes it` }]
      : [{ check, result: 'fail', text: `${data} cannot be made in ${parent}`, mend: 'choose another with --data' }];
  }
  const stat = statSync(data);
  if (!stat.isDirectory())
    return [{ check, result: 'fail', text: `${data} is no folder`, mend: 'choose another with --data' }];
  const found: Finding[] = [];
  if (!isWritable(data))
    found.push({
      check,
      result: 'fail',
      text: `this user may not write in ${data}`,
      mend: `sudo chown -R $USER ${data}`,
    });
  else found.push(...ownership(data, stat));
  const holder = found.some(({ result }) => result === 'fail') ? null : lockHolder(data);
  if (holder !== null && status === null)
    found.push({
      check,
      result: 'warn',
      text: `process ${holder} has ${data}, and does not answer`,
      mend: `see what it does: ps -p ${holder} -f; stop it with kill ${holder}`,
    });
  if (found.length > 0) return found;
  return [{ check, result: 'ok', text: `${data} is writable, and for this user alone` }];
}

function ownership(data: string, { mode, uid }: Stats): Finding[] {
  const me = process.getuid?.();
  if (me === undefined) return [];
  const found: Finding[] = [];
  if (uid !== me)
    found.push({
      check: 'data',
      result: 'warn',
      text: `${data} belongs to user ${uid}, and this is user ${me}`,
      mend: 'run Portico as one user, always the same',
    });
  if ((mode & 0o077) !== 0)
    found.push({
      check: 'data',
      result: 'warn',
      text: `others on this machine may look into ${data} (mode ${(mode & 0o777).toString(8)})`,
      mend: `chmod 700 ${data}`,
    });
  return found;
}

/** The nearest folder above that is there. */
function firstThatIs(path: string): string {
  let at = resolve(path);
  while (!existsSync(at)) at = dirname(at);
  return at;
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

const DISK_LEAST = 104_857_600;
const DISK_LITTLE = 1_073_741_824;

export function checkDisk({ data, storage }: Config): Finding[] {
  if (storage === 'memory') return [];
  const { bavail, bsize } = statfsSync(firstThatIs(data));
  const free = bavail * bsize;
  const text = `${(free / 1_048_576).toFixed(0)} MiB are free where the data is`;
  const mend = 'make room, or keep less history (topics.history)';
  if (free < DISK_LEAST) return [{ check: 'disk', result: 'fail', text, mend }];
  return [free < DISK_LITTLE ? { check: 'disk', result: 'warn', text, mend } : { check: 'disk', result: 'ok', text }];
}

// ---- the clock and the system's bounds -----------------------------------------------------------------------------

/** The year in which this was written: no clock that is right is before it. */
const YEAR_LEAST = 2026;
const AHEAD_MS = 60_000;

export function checkClock({ data, storage }: Config, now: Date): Finding {
  const text = `it is ${now.toISOString()}`;
  const mend = 'set the clock, and keep it right with NTP: expiry and history go by it';
  if (now.getUTCFullYear() < YEAR_LEAST) return { check: 'clock', result: 'fail', text, mend };
  if (storage === 'sqlite' && existsSync(data)) {
    for (const name of readdirSync(data)) {
      const written = modified(join(data, name));
      if (written > now.getTime() + AHEAD_MS)
        return {
          check: 'clock',
          result: 'warn',
          text: `${text}, but ${name} in ${data} was written at ${new Date(written).toISOString()}`,
          mend,
        };
    }
  }
  return { check: 'clock', result: 'ok', text };
}

function modified(path: string): number {
  try {
    return statSync(path).mtimeMs;
  } catch {
    // A server that runs may have removed it since.
    return 0;
  }
}

/** For the store, the standard streams and what Node opens itself. */
const OWN_DESCRIPTORS = 64;

export function checkDescriptors({ limits }: Config, most = descriptorsMax()): Finding[] {
  const check = 'descriptors';
  const wanted = (limits.connectionsMax ?? REGISTRY_LIMITS.connectionsMax) + OWN_DESCRIPTORS;
  if (most === null) return [];
  const text = `this user's processes may have ${most} files and sockets open`;
  if (most >= wanted) return [{ check, result: 'ok', text }];
  const mend = `raise it (ulimit -n ${wanted}, or LimitNOFILE in a systemd unit), or lower limits.connectionsMax`;
  return [{ check, result: 'warn', text: `${text}, and ${wanted} are needed for all connections`, mend }];
}

/** Null where the system does not say, or has no bound. */
function descriptorsMax(): number | null {
  // Without it the names of all peers would be looked up.
  const report = Object.assign(process.report, { excludeNetwork: true });
  const { userLimits } = report.getReport() as { userLimits?: { open_files?: { soft: number | string } } };
  const soft = userLimits?.open_files?.soft;
  return typeof soft === 'number' ? soft : null;
}

// ---- the server ----------------------------------------------------------------------------------------------------

/** A server that has not answered by then does not. */
const ANSWER_MS = 3_000;

/** What the server of this configuration says of itself; a finding when none does. */
export async function askStatus(config: Config): Promise<Status | Finding> {
  const path = controlPath(config);
  if (path instanceof Error) return { check: 'server', result: 'warn', text: 'it cannot be asked', mend: path.message };
  return new Promise((done) => {
    const slow = setTimeout(() => {
      const mend = 'it is overloaded, or stopped by a signal: look at its log and at its CPU time';
      done({
        check: 'server',
        result: 'fail',
        text: `${path} takes calls, and nobody answers in ${ANSWER_MS} ms`,
        mend,
      });
    }, ANSWER_MS);
    const answered = (answer: Status | Finding) => {
      clearTimeout(slow);
      done(answer);
    };
    let end = (): void => {};
    const gone: Finding = { check: 'server', result: 'fail', text: `${path} ended the call`, mend: 'look at its log' };
    const call = {
      said(said: object) {
        if ('answer' in said) answered(said as unknown as Status);
        end();
      },
      closed: () => answered(gone),
    };
    callControl(path, controlTurn(), { ask: 'status' }, call).then(
      (hold) => {
        end = () => hold.end();
      },
      (error: unknown) => {
        const isNone = /ENOENT|ECONNREFUSED/.test(String(error));
        if (isNone) answered({ check: 'server', result: 'ok', text: 'no server runs on this data folder' });
        else
          answered({
            check: 'server',
            result: 'fail',
            text: unreachable(path, error),
            mend: 'ask as the user that runs it',
          });
      },
    );
  });
}

/** What is off is slower and nothing else: it is no warning. */
export function checkNative({ native }: Status): Finding {
  const text = native === 'on' ? 'system calls by node:ffi are used' : `plain Node is used: ${native}`;
  return { check: 'native', result: 'ok', text };
}

export function checkServer({ portico, pid, forMs, connections, node }: Status): Finding {
  const text = `Portico ${portico} answers: process ${pid} on Node ${node}, up ${timeText(forMs)}, ${connections} connections`;
  if (portico === VERSION) return { check: 'server', result: 'ok', text };
  return { check: 'server', result: 'warn', text, mend: `this command is ${VERSION}: restart the server with it` };
}

function timeText(ms: number): string {
  const seconds = Math.floor(ms / 1_000);
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7_200 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 3_600)} h`;
}

// ---- ports ---------------------------------------------------------------------------------------------------------

/** Whether each port is to be had, or is the running server's already. */
export async function checkPorts(ports: readonly PlannedPort[], status: Status | null): Promise<Finding[]> {
  const found: Finding[] = [];
  const free: string[] = [];
  for (const planned of ports) {
    if (planned.port === 0) continue;
    const finding = status === null ? await openOnce(planned) : listens(planned, status);
    if (finding === null) free.push(`${planned.name} ${planned.on} ${planned.port}`);
    else found.push(finding);
  }
  if (free.length === 0) return found;
  const what = status === null ? 'free' : 'listened on';
  return [{ check: 'ports', result: 'ok', text: `${what}: ${free.join(', ')}` }, ...found];
}

/** Null when the running server listens there. */
function listens({ name, on, port }: PlannedPort, { listening }: Status): Finding | null {
  if (listening.some((one) => one.on === on && one.address?.port === port)) return null;
  return {
    check: 'ports',
    result: 'warn',
    text: `the running server does not listen on ${name} ${on} ${port}, which the configuration has`,
    mend: 'restart it, if it was started before the configuration was changed',
  };
}

/** Listens for a moment. Null when that was possible. */
async function openOnce({ name, on, hosts, port }: PlannedPort): Promise<Finding | null> {
  const turn = controlTurn();
  try {
    if (on === 'tcp') {
      const door = { turn, bounds: PIPE_BOUNDS, events: NO_EVENTS, admit: () => false, opened() {}, accept: refuse };
      for (const listening of await openTcp({ name, hosts, port }, door)) await listening.close();
    } else {
      const session = { deadline: NEVER, receive() {}, tick() {}, leave() {}, lost() {} };
      for (const open of await openUdpPorts({ name, hosts, port }, turn, () => session)) open.close();
    }
    return null;
  } catch (error) {
    // The message says who has it and what to do, parted by a semicolon.
    const [text = '', ...mend] = (error instanceof Error ? error.message : String(error)).split('; ');
    return {
      check: 'ports',
      result: 'fail',
      text,
      mend: mend.join('; ') || `see ${addressText({ host: hosts[0]!, port })}`,
    };
  } finally {
    turn.stop();
  }
}

function refuse(): never {
  throw new RangeError('nobody was admitted');
}
