// Chromium for the tests, and servers of pages from elsewhere.
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Browser, chromium } from 'playwright-core';

const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium';

/** Why the tests are skipped, or false. Where they must run, they do. */
export const skip =
  existsSync(EXECUTABLE) || process.env.CI === 'true' ? false : `Chromium is not installed at ${EXECUTABLE}`;

/** `evil.test` and all below it are this machine, as names of an attacker's would be. */
export function launch(...flags: readonly string[]): Promise<Browser> {
  return chromium.launch({
    executablePath: EXECUTABLE,
    args: ['--no-sandbox', '--host-resolver-rules=MAP evil.test 127.0.0.1, MAP *.evil.test 127.0.0.1', ...flags],
  });
}

export const ATTACK = readFileSync(new URL('attack.js', import.meta.url), 'utf8');

/** A page with nothing but the attack in it. */
export const PAGE = `<!doctype html><title>a page</title><body><script>${ATTACK}</script>`;

export interface Site extends AsyncDisposable {
  readonly port: number;
  /** `GET /path` of each request that came. */
  readonly asked: string[];
}

/** A web server that answers everything with one body, and writes down what it is asked. */
export async function startSite(body: string, type = 'text/html'): Promise<Site> {
  const asked: string[] = [];
  const note = ({ method, url }: IncomingMessage) => void asked.push(`${method} ${url}`);
  const server = createServer((request, response) => {
    note(request);
    request.resume();
    response.setHeader('content-type', type);
    response.end(body);
  });
  server.on('upgrade', (request, socket) => {
    note(request);
    socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    asked,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
