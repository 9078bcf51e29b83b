// The page on which services are tried: plain HTML and one script of this server's own, which read `/openapi.json`.

export const SCRIPT_PATH = '/services/try.js';

const HTML = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Services</title>
<style>
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { display: grid; grid-template-columns: minmax(14rem, 22rem) 1fr; margin: 0; min-height: 100vh; }
nav { padding: 1rem; border-right: 1px solid #8884; overflow: auto; max-height: 100vh; box-sizing: border-box; }
nav h2 { font-size: 1rem; margin: 1rem 0 .3rem; overflow-wrap: anywhere; }
nav button { display: block; width: 100%; text-align: left; border: 0; background: none; color: inherit; font: inherit; padding: .2rem .4rem; cursor: pointer; }
nav button[aria-current] { background: #48f3; border-radius: .3rem; }
main { padding: 1rem 2rem; max-width: 60rem; }
textarea, pre { width: 100%; box-sizing: border-box; font: 13px/1.5 ui-monospace, monospace; }
textarea { min-height: 12rem; }
pre { background: #8882; padding: .8rem; border-radius: .3rem; white-space: pre-wrap; overflow-wrap: anywhere; }
.bad { color: #c33; }
small { opacity: .7; }
</style>
</head>
<body>
<nav aria-label="Methods"><h1>Services</h1><p><a href="/openapi.json">openapi.json</a></p><div id="methods"></div></nav>
<main>
<h2 id="name">Choose a method</h2>
<p id="about"></p>
<form id="form" hidden>
<label for="input">Input, as JSON <small id="hint"></small></label>
<textarea id="input" spellcheck="false"></textarea>
<p><button id="call">Call</button> <button id="stop" type="button" hidden>Stop</button></p>
</form>
<p id="status" role="status"></p>
<pre id="output" hidden></pre>
</main>
<script src="${SCRIPT_PATH}"></script>
</body>
</html>
`;

const CODE = `'use strict';
const at = (id) => document.getElementById(id);
let document_, chosen = null, stopping = null;

function example(schema, depth) {
  if (schema.$ref) {
    const found = document_.components.schemas[schema.$ref.split('/').pop()];
    return depth > 4 ? {} : example(found, depth + 1);
  }
  if (schema.default !== undefined) return schema.default;
  if (schema.enum) return schema.enum[0];
  if (schema.examples) return schema.examples[0];
  if (schema.type === 'object') {
    const made = {};
    for (const [name, field] of Object.entries(schema.properties || {}))
      if ((schema.required || []).includes(name)) made[name] = example(field, depth + 1);
    return made;
  }
  if (schema.type === 'array') return [example(schema.items, depth + 1)];
  if (schema.type === 'boolean') return false;
  if (schema.type === 'integer' || schema.type === 'number') return schema.minimum || 0;
  if (schema.format === 'date-time') return new Date().toISOString();
  if (schema.format === 'int64' || schema.format === 'uint64') return '0';
  return schema.type === 'string' ? '' : null;
}

function choose(path, operation, button) {
  chosen = { path, operation };
  for (const each of document.querySelectorAll('nav button')) each.removeAttribute('aria-current');
  button.setAttribute('aria-current', 'true');
  const [type, { schema }] = Object.entries(operation.requestBody.content)[0];
  at('name').textContent = operation.operationId;
  at('about').textContent = operation.description || '';
  at('hint').textContent = type === 'application/x-ndjson' ? '(a value a line)' : '';
  const made = example(schema, 0);
  at('input').value = JSON.stringify(made, null, type === 'application/x-ndjson' ? 0 : 2);
  at('form').hidden = false;
  at('output').hidden = true;
  at('status').textContent = '';
}

async function call(event) {
  event.preventDefault();
  const { path, operation } = chosen;
  const type = Object.keys(operation.requestBody.content)[0];
  const began = performance.now();
  stopping = new AbortController();
  at('stop').hidden = false;
  at('output').hidden = false;
  at('output').textContent = '';
  at('status').textContent = 'calling…';
  at('status').className = '';
  try {
    const answer = await fetch(path, {
      method: 'POST', body: at('input').value, signal: stopping.signal,
      headers: { 'content-type': type, accept: 'application/json, application/x-ndjson' },
    });
    at('status').textContent = answer.status + ' ' + answer.statusText;
    at('status').className = answer.ok ? '' : 'bad';
    const isOne = (answer.headers.get('content-type') || '').includes('json') && !(answer.headers.get('content-type') || '').includes('ndjson');
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      text += value;
      at('output').textContent = text.slice(-200000);
    }
    if (isOne) at('output').textContent = JSON.stringify(JSON.parse(text), null, 2);
    at('status').textContent += ' · ' + Math.round(performance.now() - began) + ' ms';
  } catch (error) {
    at('status').textContent = error.name === 'AbortError' ? 'stopped' : String(error);
    at('status').className = error.name === 'AbortError' ? '' : 'bad';
  } finally {
    at('stop').hidden = true;
  }
}

async function begin() {
  document_ = await (await fetch('/openapi.json')).json();
  for (const { name, description } of document_.tags) {
    const head = document.createElement('h2');
    head.textContent = name;
    head.title = description || '';
    at('methods').append(head);
    for (const [path, { post }] of Object.entries(document_.paths)) {
      if (!path.startsWith('/services/' + name + '/') || !post) continue;
      const button = document.createElement('button');
      button.textContent = path.split('/').pop();
      button.addEventListener('click', () => choose(path, post, button));
      at('methods').append(button);
    }
  }
  if (document_.tags.length === 0) at('about').textContent = 'There is no service that you may call.';
}
at('form').addEventListener('submit', call);
at('stop').addEventListener('click', () => stopping.abort());
begin().catch((error) => { at('about').textContent = String(error); });
`;

export const PAGE: Uint8Array = Buffer.from(HTML);
export const SCRIPT: Uint8Array = Buffer.from(CODE);
