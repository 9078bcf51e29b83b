#!/usr/bin/env node
// Runs its arguments under the Node that Portico needs: `node bin/with-node.js --test ...`.
import { runUnder } from './run-under.js';

runUnder(process.argv.slice(2));
