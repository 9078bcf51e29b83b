#!/usr/bin/env node
// The `portico` command: finds the right Node by itself, then runs src/main.ts in this process or, if this Node is too
// old, in a child.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { findNode } from './find-node.js';
import { runUnder } from './run-under.js';

// A checkout runs the TypeScript as it is; an installed package brings JavaScript, since Node does not strip types
// below node_modules.
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const source = join(root, 'src', 'main.ts');
const main = existsSync(source) ? source : join(root, 'dist', 'src', 'main.js');

if (findNode() === process.execPath) await import(pathToFileURL(main).href);
else runUnder([main, ...process.argv.slice(2)]);
