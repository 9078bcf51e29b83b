// The shop with its page at /shop/: one HTML file that uses the service by REST and WebSocket.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

const page = readFileSync(new URL('shop.html', import.meta.url), 'utf8');

/** `'sha256-…'` of what stands between the tags: the page runs its own script and style, and nothing else. */
function hashOf(tag: string): string {
  const inner = new RegExp(`<${tag}[^>]*>([\\s\\S]*)</${tag}>`).exec(page)![1]!;
  return `'sha256-${createHash('sha256').update(inner).digest('base64')}'`;
}

const headers = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-cache',
  'content-security-policy':
    `default-src 'none'; script-src ${hashOf('script')}; style-src ${hashOf('style')}; connect-src 'self'; ` +
    `img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
};

export default {
  services: ['./orders.ts'],
  http: {
    routes: {
      '/shop': () => new Response(null, { status: 308, headers: { location: '/shop/' } }),
      '/shop/': (request: Request) =>
        new URL(request.url).pathname === '/shop/'
          ? new Response(page, { headers })
          : new Response('There is only /shop/.\n', { status: 404 }),
    },
  },
};
