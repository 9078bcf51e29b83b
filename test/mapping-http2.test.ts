// docs/mapping.md, the rows of HTTP and of server-sent events, cell by cell over HTTP/2: the same tests, with a `fetch` on
// node:http2.
import { type ClientHttp2Session, connect, constants } from 'node:http2';
import { Readable } from 'node:stream';

const sessions = new Map<string, ClientHttp2Session>();

function sessionOf(origin: string): ClientHttp2Session {
  let session = sessions.get(origin);
  if (session === undefined || session.closed || session.destroyed) {
    session = connect(origin);
    session.on('error', () => {});
    session.unref();
    sessions.set(origin, session);
  }
  return session;
}

globalThis.fetch = (input, init = {}) => {
  const url = new URL(String(input));
  const body = init.body == null ? null : Buffer.from(init.body as string | Uint8Array);
  const given = new Headers(init.headers);
  if (typeof init.body === 'string' && !given.has('content-type'))
    given.set('content-type', 'text/plain;charset=UTF-8');
  const stream = sessionOf(url.origin).request(
    { ':method': init.method ?? 'GET', ':path': `${url.pathname}${url.search}`, ...Object.fromEntries(given) },
    { endStream: body === null },
  );
  if (body !== null) stream.end(body);
  init.signal?.addEventListener('abort', () => stream.close(constants.NGHTTP2_CANCEL));
  return new Promise((resolve, reject) => {
    stream.on('error', reject);
    stream.on('response', (fields) => {
      const headers = new Headers();
      for (const [name, value] of Object.entries(fields))
        if (!name.startsWith(':')) for (const each of [value].flat()) headers.append(name, String(each));
      const status = Number(fields[':status']);
      const empty = status === 204 || status === 304;
      if (empty) stream.resume();
      resolve(new Response(empty ? null : (Readable.toWeb(stream) as ReadableStream), { status, headers }));
    });
  });
};

await import('./mapping-http.test.ts');
