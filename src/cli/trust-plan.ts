// What has to be done so that the programs of a machine trust a root, or no longer do: for each store that is there, a file
// and a command. It runs nothing.
import { createHash } from 'node:crypto';
import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';

export interface Root {
  /** PEM. */
  readonly pem: string;
  readonly der: Uint8Array;
  /** The key's hash, in hexadecimal. */
  readonly id: string;
  readonly serial: string;
}

/** A machine as far as it matters here. */
export interface Machine {
  readonly platform: NodeJS.Platform;
  readonly home: string;
  readonly isRoot: boolean;
  /** Where a command is; null when it is not there. */
  which(command: string): string | null;
  has(path: string): boolean;
  list(folder: string): readonly string[];
}

export interface Step {
  /** The store, in words. */
  readonly store: string;
  /** A file that is written first, or taken away. */
  readonly put?: { readonly path: string; readonly text: string };
  readonly drop?: string;
  readonly command: readonly string[];
  /** Only an administrator may. */
  readonly elevated: boolean;
  /** That it fails is of no account: it was not there. */
  readonly mayFail?: boolean;
}

export interface Plan {
  readonly steps: readonly Step[];
  /** What could not be planned, and what to do about it. */
  readonly hints: readonly string[];
}

export const THIS_MACHINE: Machine = {
  platform: process.platform,
  home: homedir(),
  isRoot: process.getuid?.() === 0,
  which(command) {
    const places = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin', '/usr/local/sbin'];
    const names = process.platform === 'win32' ? [`${command}.exe`, command] : [command];
    for (const place of places)
      for (const name of names) {
        const path = join(place, name);
        try {
          accessSync(path, constants.X_OK);
          return path;
        } catch {
          // The next place.
        }
      }
    return null;
  },
  has: existsSync,
  list(folder) {
    try {
      return readdirSync(folder);
    } catch {
      return [];
    }
  },
};

/** Stores of Linux that are a folder and a command: Debian, Ubuntu, Alpine; openSUSE; Fedora, RHEL; Arch. */
const FOLDERS: readonly (readonly [folder: string, extension: string, add: string[], remove: string[]])[] = [
  ['/usr/local/share/ca-certificates', 'crt', ['update-ca-certificates'], ['update-ca-certificates', '--fresh']],
  ['/etc/pki/trust/anchors', 'pem', ['update-ca-certificates'], ['update-ca-certificates']],
  ['/etc/pki/ca-trust/source/anchors', 'pem', ['update-ca-trust', 'extract'], ['update-ca-trust', 'extract']],
  ['/etc/ca-certificates/trust-source/anchors', 'crt', ['trust', 'extract-compat'], ['trust', 'extract-compat']],
];

/** What is to be done on this machine. `rootPath` is where the root stands as PEM. */
export function trustPlan(root: Root, rootPath: string, removes: boolean, machine: Machine): Plan {
  const steps: Step[] = [];
  const hints: string[] = [];
  const { platform, home } = machine;
  if (platform === 'darwin') steps.push(macStep(root, rootPath, removes));
  else if (platform === 'win32') steps.push(windowsStep(root, rootPath, removes));
  else {
    const step = folderStep(root, removes, machine);
    if (step !== null) steps.push(step);
    else hints.push('no store of the system is known here: give the root to your programs by hand (portico cert root)');
  }
  if (platform !== 'win32') {
    const bases = nssFolders(home, machine);
    const certutil = machine.which('certutil');
    if (certutil !== null) for (const base of bases) steps.push(nssStep(base, root, rootPath, removes, certutil));
    else if (bases.length > 0)
      hints.push(
        'Chromium or Firefox keep stores of their own: install certutil (Debian: libnss3-tools) and do this again',
      );
  }
  return { steps, hints };
}

const nickname = ({ id }: Root) => `Portico Local Root ${id.slice(0, 6)}`;

function folderStep(root: Root, removes: boolean, { which, has }: Machine): Step | null {
  for (const [folder, extension, add, remove] of FOLDERS) {
    const [name, ...rest] = removes ? remove : add;
    const command = which(name!);
    if (command === null || !has(folder)) continue;
    const path = `${folder}/portico-${root.id.slice(0, 6)}.${extension}`;
    const step = { store: 'the system', command: [command, ...rest], elevated: true };
    return removes ? { ...step, drop: path } : { ...step, put: { path, text: root.pem } };
  }
  return null;
}

function macStep(root: Root, rootPath: string, removes: boolean): Step {
  const keychain = '/Library/Keychains/System.keychain';
  const print = createHash('sha1').update(root.der).digest('hex').toUpperCase();
  const command = removes
    ? ['security', 'delete-certificate', '-t', '-Z', print, keychain]
    : ['security', 'add-trusted-cert', '-d', '-r', 'trustRoot', '-k', keychain, rootPath];
  return { store: 'the keychain of the system', command, elevated: true };
}

function windowsStep(root: Root, rootPath: string, removes: boolean): Step {
  const command = removes
    ? ['certutil', '-user', '-delstore', 'Root', root.serial]
    : ['certutil', '-user', '-addstore', '-f', 'Root', rootPath];
  return { store: 'the store of this user', command, elevated: false };
}

/** Databases of NSS: Chromium’s on Linux, and one for each profile of Firefox. */
function nssFolders(home: string, { has, list, platform }: Machine): string[] {
  const shared = [join(home, '.pki/nssdb'), join(home, 'snap/chromium/current/.pki/nssdb')];
  const firefox =
    platform === 'darwin'
      ? [join(home, 'Library/Application Support/Firefox/Profiles')]
      : [join(home, '.mozilla/firefox'), join(home, 'snap/firefox/common/.mozilla/firefox')];
  const profiles = firefox.flatMap((folder) => list(folder).map((name) => join(folder, name)));
  return [...shared, ...profiles].filter((folder) => has(join(folder, 'cert9.db')));
}

function nssStep(folder: string, root: Root, rootPath: string, removes: boolean, certutil: string): Step {
  const command = removes
    ? [certutil, '-D', '-d', `sql:${folder}`, '-n', nickname(root)]
    : [certutil, '-A', '-d', `sql:${folder}`, '-t', 'C,,', '-n', nickname(root), '-i', rootPath];
  return { store: `the browsers’ store ${folder}`, command, elevated: false, ...(removes ? { mayFail: true } : {}) };
}
