// What runs in the page to try GraphQL: plain JavaScript for browsers, served as it stands here.

export const PAGE_SCRIPT = String.raw`'use strict';
const $ = (id) => document.getElementById(id);
const URL_HERE = location.pathname;
const KEEP = 'portico.graphql';
let types = new Map();
let roots = {};
let running = null;

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

// ---- what is asked --------------------------------------------------------------------------------------------------

function keep() {
  const kept = { query: $('query').value, variables: $('variables').value, carrier: $('carrier').value };
  try { localStorage.setItem(KEEP, JSON.stringify(kept)); } catch {}
}

function restore() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEEP) || '{}');
    if (kept.query) $('query').value = kept.query;
    if (kept.variables) $('variables').value = kept.variables;
    if (kept.carrier) $('carrier').value = kept.carrier;
  } catch {}
  const given = new URLSearchParams(location.search).get('query');
  if (given) $('query').value = given;
}

function jsonOf(id, what) {
  const text = $(id).value.trim();
  if (text === '') return {};
  try { return JSON.parse(text); } catch (error) { throw new Error(what + ' are no JSON: ' + error.message); }
}

/** Operations of the document, without comments and strings: enough to offer them. */
function operationsOf(text) {
  const bare = text.replace(/#[^\n]*/g, '').replace(/"""[\s\S]*?"""|"(?:[^"\\\n]|\\.)*"/g, '""');
  const found = [];
  let depth = 0;
  const pattern = /[{}]|\b(query|mutation|subscription|fragment)\b\s*(\w+)?/g;
  for (let match; (match = pattern.exec(bare)); ) {
    if (match[0] === '{') {
      if (depth === 0 && bare.slice(0, match.index).trim() === '') found.push({ kind: 'query', name: '' });
      depth++;
    } else if (match[0] === '}') depth--;
    else if (depth === 0 && match[1] !== 'fragment') found.push({ kind: match[1], name: match[2] || '' });
  }
  return found;
}

function offerOperations() {
  const found = operationsOf($('query').value);
  const select = $('operation');
  const chosen = select.value;
  select.replaceChildren(...found.map(({ name }) => new Option(name || '(no name)', name)));
  select.hidden = found.length < 2;
  if (found.some(({ name }) => name === chosen)) select.value = chosen;
}

function request() {
  const found = operationsOf($('query').value);
  const name = $('operation').hidden ? (found[0] || {}).name : $('operation').value;
  const operation = found.find((each) => each.name === name) || { kind: 'query' };
  return {
    kind: operation.kind,
    headers: jsonOf('headers', 'Headers'),
    body: { query: $('query').value, variables: jsonOf('variables', 'Variables'), operationName: name || null },
  };
}

// ---- what is answered -----------------------------------------------------------------------------------------------

const SHOWN_MAX = 200;

function show(value, isNew) {
  const box = $('answers');
  if (isNew) box.replaceChildren();
  const text = typeof value === 'string' ? value : JSON.stringify(value, null, 2);
  const isWrong = typeof value === 'string' || (value && value.errors);
  box.append(make('pre', isWrong ? 'wrong' : '', text));
  while (box.childElementCount > SHOWN_MAX) box.firstChild.remove();
  box.scrollTop = box.scrollHeight;
}

function status(text) { $('status').textContent = text; }

function stop() {
  if (running) running();
  running = null;
  $('run').textContent = 'Run';
}

async function run() {
  if (running) { stop(); status('stopped'); return; }
  let asked;
  try { asked = request(); } catch (error) { show(error.message, true); return; }
  keep();
  $('answers').replaceChildren();
  if (asked.kind === 'subscription') {
    $('run').textContent = 'Stop';
    status('subscribed');
    ($('carrier').value === 'sse' ? overEvents : overSocket)(asked);
    return;
  }
  const began = performance.now();
  try {
    const { response, answer } = await post(asked.body, asked.headers);
    show(answer, true);
    status(response.status + ' in ' + Math.round(performance.now() - began) + ' ms');
  } catch (error) {
    show(String(error), true);
    status('failed');
  }
}

async function post(body, headers) {
  const type = 'application/graphql-response+json';
  const response = await fetch(URL_HERE, {
    method: 'POST',
    headers: { accept: type + ', application/json;q=0.9', 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  return { response, answer: await response.json() };
}

function overSocket({ body }) {
  const socket = new WebSocket(location.origin.replace(/^http/, 'ws') + URL_HERE, 'graphql-transport-ws');
  const say = (message) => socket.send(JSON.stringify(message));
  running = () => { if (socket.readyState === 1) say({ id: '1', type: 'complete' }); socket.close(1000); };
  socket.onopen = () => say({ type: 'connection_init' });
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === 'connection_ack') say({ id: '1', type: 'subscribe', payload: body });
    else if (message.type === 'ping') say({ type: 'pong' });
    else if (message.type === 'next') show(message.payload);
    else if (message.type === 'error') { show({ errors: message.payload }); status('refused'); stop(); }
    else if (message.type === 'complete') { status('complete'); stop(); }
  };
  socket.onclose = ({ code, reason }) => { if (running) { status('closed: ' + code + ' ' + reason); running = null; stop(); } };
}

async function overEvents({ body, headers }) {
  const abort = new AbortController();
  running = () => abort.abort();
  try {
    const response = await fetch(URL_HERE, {
      method: 'POST',
      headers: { accept: 'text/event-stream', 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
      signal: abort.signal,
    });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      text += value;
      for (let end; (end = text.indexOf('\n\n')) >= 0; text = text.slice(end + 2)) event(text.slice(0, end));
    }
    status('complete');
  } catch (error) {
    if (!abort.signal.aborted) status(String(error));
  }
  running = null;
  stop();
}

function event(text) {
  const lines = text.split('\n');
  if (lines.includes('event: next')) show(JSON.parse(lines.find((line) => line.startsWith('data: ')).slice(6)));
}

// ---- the schema -----------------------------------------------------------------------------------------------------

const OF = '{ kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } }';
const INPUT = '{ name description defaultValue isDeprecated type ' + OF + ' }';
const INTROSPECTION = 'query Schema { __schema { queryType { name } mutationType { name } subscriptionType { name } types {'
  + ' kind name description fields(includeDeprecated: true) { name description isDeprecated type ' + OF
  + ' args(includeDeprecated: true) ' + INPUT + ' } inputFields(includeDeprecated: true) ' + INPUT
  + ' enumValues(includeDeprecated: true) { name description isDeprecated } } } }';

async function load() {
  try {
    const { answer } = await post({ query: INTROSPECTION, operationName: 'Schema' }, jsonOf('headers', 'Headers'));
    if (!answer.data) throw new Error((answer.errors[0] || {}).message);
    const schema = answer.data.__schema;
    types = new Map(schema.types.map((type) => [type.name, type]));
    roots = { query: schema.queryType, mutation: schema.mutationType, subscription: schema.subscriptionType };
    showRoots();
  } catch (error) {
    $('docs').replaceChildren(make('p', 'wrong', 'The schema is not told: ' + error.message));
  }
}

function typeText(type) {
  if (type.kind === 'NON_NULL') return typeText(type.ofType) + '!';
  return type.kind === 'LIST' ? '[' + typeText(type.ofType) + ']' : type.name;
}

function bareType(type) { return type.ofType ? bareType(type.ofType) : type.name; }

function link(type) {
  const button = make('button', 'link', typeText(type));
  button.onclick = () => showType(bareType(type));
  return button;
}

function fieldRow(field, kind) {
  const row = make('div', 'field' + (field.isDeprecated ? ' old' : ''));
  const name = make('button', 'name', field.name);
  name.title = kind ? 'Write an operation with it' : '';
  if (kind) name.onclick = () => write(kind, field);
  row.append(name);
  if (field.args && field.args.length > 0) {
    row.append('(');
    field.args.forEach((arg, at) => row.append(at ? ', ' : '', arg.name + ': ', link(arg.type)));
    row.append(')');
  }
  if (field.type) row.append(': ', link(field.type));
  if (field.description) row.append(make('p', '', field.description));
  return row;
}

function showRoots() {
  const wanted = $('search').value.trim().toLowerCase();
  const box = $('docs');
  box.replaceChildren();
  for (const kind of ['query', 'mutation', 'subscription']) {
    const type = roots[kind] && types.get(roots[kind].name);
    if (!type) continue;
    const fields = type.fields.filter(({ name }) => name.toLowerCase().includes(wanted));
    if (fields.length === 0) continue;
    box.append(make('h3', '', type.name), ...fields.map((field) => fieldRow(field, kind)));
  }
  const named = [...types.values()].filter(({ name }) => wanted !== '' && name.toLowerCase().includes(wanted) && !name.startsWith('__'));
  if (named.length === 0) return;
  box.append(make('h3', '', 'Types'));
  for (const type of named) { const row = make('div', 'field'); row.append(link(type)); box.append(row); }
}

function showType(name) {
  const type = types.get(name);
  if (!type) return;
  const back = make('button', 'link', '← all');
  back.onclick = showRoots;
  const rows = [...(type.fields || []), ...(type.inputFields || []), ...(type.enumValues || [])].map((each) => fieldRow(each));
  $('docs').replaceChildren(back, make('h3', '', type.kind.toLowerCase().replace('_', ' ') + ' ' + name));
  if (type.description) $('docs').append(make('p', '', type.description));
  $('docs').append(...rows);
}

/** Scalars and enums of a type, and of what is in it once more. */
function selectionOf(name, depth, indent) {
  const type = types.get(name);
  if (!type || !type.fields) return '';
  const lines = [];
  for (const field of type.fields) {
    const inner = types.get(bareType(field.type));
    if ((field.args || []).some((arg) => arg.type.kind === 'NON_NULL')) continue;
    if (!inner.fields) lines.push(indent + '  ' + field.name);
    else if (depth > 0) {
      const below = selectionOf(inner.name, depth - 1, indent + '  ');
      if (below) lines.push(indent + '  ' + field.name + below);
    }
  }
  return lines.length === 0 ? '' : ' {\n' + lines.join('\n') + '\n' + indent + '}';
}

/** An operation with this field, and variables for what it must be given. */
function write(kind, field) {
  const needed = field.args.filter((arg) => arg.type.kind === 'NON_NULL' && arg.defaultValue === null);
  const variables = needed.map((arg) => '$' + arg.name + ': ' + typeText(arg.type)).join(', ');
  const given = needed.map((arg) => arg.name + ': $' + arg.name).join(', ');
  const name = field.name[0].toUpperCase() + field.name.slice(1);
  $('query').value = kind + ' ' + name + (variables ? '(' + variables + ')' : '') + ' {\n  ' + field.name
    + (given ? '(' + given + ')' : '') + selectionOf(bareType(field.type), 1, '  ') + '\n}\n';
  $('variables').value = needed.length === 0 ? '' : JSON.stringify(
    Object.fromEntries(needed.map((arg) => [arg.name, exampleOf(arg.type, 2)])), null, 2);
  offerOperations();
  keep();
}

function exampleOf(type, depth) {
  if (type.kind === 'NON_NULL') return exampleOf(type.ofType, depth);
  if (type.kind === 'LIST') return depth > 0 ? [exampleOf(type.ofType, depth - 1)] : [];
  const found = types.get(type.name);
  if (found.kind === 'ENUM') return found.enumValues[0].name;
  if (found.kind === 'INPUT_OBJECT') {
    const must = found.inputFields.filter((field) => field.type.kind === 'NON_NULL');
    return Object.fromEntries(must.map((field) => [field.name, depth > 0 ? exampleOf(field.type, depth - 1) : null]));
  }
  const examples = { Int: 1, Float: 1.5, Boolean: false, Int64: '1', UInt64: '1', UInt32: 1, Base64: 'AAEC', JSON: {},
    DateTime: new Date().toISOString(), Duration: '1s', Empty: {} };
  return examples[type.name] === undefined ? '' : examples[type.name];
}

// ---- the page -------------------------------------------------------------------------------------------------------

$('run').onclick = run;
$('reload').onclick = load;
$('search').oninput = showRoots;
$('query').oninput = offerOperations;
document.addEventListener('keydown', (key) => {
  if (key.key === 'Enter' && (key.ctrlKey || key.metaKey)) { key.preventDefault(); run(); }
});
$('query').addEventListener('keydown', (key) => {
  if (key.key !== 'Tab' || key.shiftKey || key.ctrlKey || key.altKey) return;
  key.preventDefault();
  key.target.setRangeText('  ', key.target.selectionStart, key.target.selectionEnd, 'end');
});
restore();
offerOperations();
load();
`;
