// Replaces this process, as far as a child can: same streams, same signals, same exit code, under the right Node.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { findNode, missingNode } from './find-node.js';

/**
 * Runs the arguments under the Node that Portico needs and exits as it exits.
 * @param {string[]} args arguments of node
 */
export function runUnder(args) {
  const node = findNode();
  if (node === null) {
    process.stderr.write(`${missingNode()}\n`);
    process.exit(69); // EX_UNAVAILABLE
  }
  const child = spawn(node, args, { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    process.stderr.write(`portico could not start ${node}: ${error.message}\n`);
    process.exit(69);
  });
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    process.removeAllListeners(signal);
    // The first process of a container is not ended by its own signals.
    process.exitCode = 128 + constants.signals[signal];
    process.kill(process.pid, signal);
  });
}
