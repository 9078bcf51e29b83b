// Runs in a page: does to a server all that a page can do to one of another origin, and answers what it could read of it.
// It needs no cooperation of the server, and none of it may have an effect.

/** `base`: the server's origin; `secret`: what to read; `ports`: of protocols that are not HTTP; `commands`: in their words. */
async function attack({ base, secret, ports, commands }) {
  const read = [];
  const wsBase = base.replace(/^http/, 'ws');
  const stolen = (name) => `${base}/topics/stolen/${name}`;
  const hidden = (node) => {
    node.hidden = true;
    document.body.append(node);
    return node;
  };
  const within = (ms, promise) => Promise.race([promise, new Promise((resolve) => setTimeout(resolve, ms))]);
  const fetches = async (what, url, options) => {
    try {
      const answer = await within(1_500, fetch(url, options));
      read.push([what, answer ? await answer.text() : '']);
    } catch {
      read.push([what, '']);
    }
  };
  const loads = (what, name, url, attribute = 'src') =>
    within(
      1_500,
      new Promise((resolve) => {
        const node = document.createElement(name);
        node.onload = () => {
          let text = '';
          try {
            text = node.contentDocument.documentElement.textContent;
          } catch {
            // A frame of another origin, or none at all: nothing was read.
          }
          if (name === 'img') text = 'an image';
          if (name === 'link') for (const { cssRules } of document.styleSheets) text += cssRules.length;
          read.push([what, text]);
          resolve();
        };
        node.onerror = resolve;
        node[attribute] = url;
        if (name === 'link') node.rel = 'stylesheet';
        hidden(node);
      }),
    );
  const form = (enctype, url, fields, target) => {
    const made = hidden(document.createElement('form'));
    Object.assign(made, { method: 'POST', enctype, action: url, target });
    for (const [name, value] of Object.entries(fields)) {
      const input = document.createElement('textarea');
      Object.assign(input, { name, value });
      made.append(input);
    }
    made.submit();
  };
  const frame = (name) => Object.assign(hidden(document.createElement('iframe')), { name });
  const socket = (what, path, protocols, says) =>
    within(
      2_000,
      new Promise((resolve) => {
        const made = new WebSocket(`${wsBase}${path}`, protocols);
        made.onopen = () => {
          read.push([what, 'open']);
          for (const text of says) made.send(text);
          setTimeout(resolve, 500);
        };
        made.onmessage = ({ data }) => read.push([what, String(data)]);
        made.onclose = made.onerror = resolve;
      }),
    );
  const events = (what, url) =>
    within(
      1_500,
      new Promise((resolve) => {
        const made = new EventSource(url);
        made.onopen = () => read.push([what, 'open']);
        made.onmessage = ({ data }) => read.push([what, data]);
        made.onerror = () => {
          made.close();
          resolve();
        };
        setTimeout(() => made.close(), 1_400);
      }),
    );
  const plain = { 'content-type': 'text/plain' };
  const all = [
    fetches('GET', `${base}/topics/${secret}`),
    fetches('GET no-cors', `${base}/topics/${secret}?no-cors`, { mode: 'no-cors' }),
    fetches('GET history', `${base}/topics/%23?after=0`),
    fetches('POST', stolen('post'), { method: 'POST', body: 'x', headers: plain }),
    fetches('POST no-cors', stolen('post-no-cors'), { method: 'POST', body: 'x', mode: 'no-cors', headers: plain }),
    fetches('POST keepalive', stolen('keepalive'), { method: 'POST', body: 'x', mode: 'no-cors', keepalive: true }),
    fetches('PUT', stolen('put'), { method: 'PUT', body: 'x' }),
    fetches('DELETE', `${base}/topics/${secret}`, { method: 'DELETE' }),
    fetches('credentials', stolen('credentials'), { method: 'POST', body: 'x', credentials: 'include' }),
    loads('img', 'img', `${base}/topics/${secret}?img`),
    loads('script', 'script', `${base}/topics/${secret}?script`),
    loads('style', 'link', `${base}/topics/${secret}?style`, 'href'),
    loads('iframe', 'iframe', `${base}/topics/${secret}?iframe`),
    loads('object', 'object', `${base}/topics/${secret}?object`, 'data'),
    events('EventSource', `${base}/topics/%23`),
    socket('WebSocket', `/topics/${secret}`, [], ['stolen by a bare socket']),
    socket(
      'WebSocket portico.json',
      '/ws',
      ['portico.json'],
      ['{"subscribe":"#"}', '{"publish":"stolen/json","payload":"x"}'],
    ),
    socket('WebSocket mqtt', '/mqtt', ['mqtt'], []),
  ];
  navigator.sendBeacon?.(stolen('beacon'), 'x');
  navigator.sendBeacon?.(stolen('beacon-blob'), new Blob(['x'], { type: 'text/plain' }));
  for (const [index, enctype] of ['text/plain', 'multipart/form-data', 'application/x-www-form-urlencoded'].entries()) {
    const target = frame(`form${index}`).name;
    form(enctype, stolen(`form-${index}`), { a: 'b' }, target);
  }
  for (const [index, port] of ports.entries()) {
    const at = `http://localhost:${port}`;
    all.push(fetches(`POST to ${port}`, `${at}/`, { method: 'POST', body: commands, mode: 'no-cors', headers: plain }));
    all.push(fetches(`PUT to ${port}`, `${at}/`, { method: 'PUT', body: commands }));
    all.push(loads(`img to ${port}`, 'img', `${at}/%0D%0APUB%20stolen/img%201%0D%0A`));
    form('text/plain', `${at}/`, { [commands]: commands }, frame(`words${index}`).name);
  }
  await Promise.all(all);
  return read;
}
globalThis.attack = attack;
