// The page to try GraphQL in a browser: an editor, variables, answers, subscriptions, and the schema to read. Everything that it
// needs is in it, and it talks to nobody but this server.
import { createHash } from 'node:crypto';
import type { Exchange } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import { answerBytes } from '../http/answers.ts';
import { PAGE_SCRIPT } from './page-script.ts';

const STYLE = `
:root { color-scheme: light dark; --line: #8885; --dim: #777; --wrong: #c33; --link: #06c; }
@media (prefers-color-scheme: dark) { :root { --dim: #999; --wrong: #f77; --link: #6af; } }
* { box-sizing: border-box; }
body { margin: 0; height: 100vh; display: grid; grid-template: auto 1fr / 1fr 1fr minmax(16rem, 24rem); font: 15px/1.4 system-ui, sans-serif; }
header { grid-column: 1 / -1; display: flex; gap: .75rem; align-items: center; padding: .5rem .75rem; border-bottom: 1px solid var(--line); }
h1 { font-size: 1rem; margin: 0 auto 0 0; }
section { min-width: 0; min-height: 0; display: flex; flex-direction: column; border-right: 1px solid var(--line); }
textarea, pre { font: 13px/1.45 ui-monospace, monospace; tab-size: 2; }
textarea { flex: 1; width: 100%; border: 0; padding: .75rem; resize: none; background: none; color: inherit; }
label { padding: .25rem .75rem; border-top: 1px solid var(--line); color: var(--dim); font-size: .8rem; }
#query { flex: 4; }
#answers { flex: 1; overflow: auto; padding: .75rem; }
#answers pre { margin: 0 0 .5rem; white-space: pre-wrap; overflow-wrap: anywhere; }
#docs { overflow: auto; padding: 0 .75rem .75rem; flex: 1; }
#search { margin: .75rem; }
#status { color: var(--dim); }
.wrong { color: var(--wrong); }
.field { margin: .35rem 0; overflow-wrap: anywhere; }
.field p { margin: 0 0 0 1rem; color: var(--dim); font-size: .85rem; }
.old > .name { text-decoration: line-through; }
.link, .name { border: 0; padding: 0; background: none; font: inherit; color: var(--link); cursor: pointer; text-align: left; }
.name { color: inherit; font-weight: 600; }
@media (max-width: 50rem) { body { display: block; height: auto; } section { min-height: 40vh; } }
`;

const FIRST = `# Ctrl+Enter runs. On the right is what there is: a click on a field writes an operation with it.
{
  retained(topic: "hello") {
    payload
    time
  }
}
`;

const HTML = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>GraphQL · Portico</title>
<link rel="icon" href="data:,">
<style>${STYLE}</style>
</head>
<body>
<header>
<h1>GraphQL</h1>
<span id="status" role="status"></span>
<select id="operation" aria-label="Operation" hidden></select>
<select id="carrier" aria-label="Subscriptions over"><option value="ws">WebSocket</option><option value="sse">SSE</option></select>
<button id="run">Run</button>
<button id="reload">Reload schema</button>
</header>
<section>
<textarea id="query" spellcheck="false" aria-label="Document">${FIRST}</textarea>
<label for="variables">Variables</label>
<textarea id="variables" spellcheck="false"></textarea>
<label for="headers">Headers</label>
<textarea id="headers" spellcheck="false"></textarea>
</section>
<section><div id="answers" aria-live="polite"></div></section>
<section><input id="search" type="search" placeholder="Search the schema" aria-label="Search the schema"><div id="docs"></div></section>
<script>${PAGE_SCRIPT}</script>
</body>
</html>
`;

const hashOf = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

const BODY = Buffer.from(HTML);

const FIELDS = Fields.of({
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-cache',
  // Nothing but what stands in it runs, and it reaches nobody but this server (CSP Level 3).
  'content-security-policy': [
    "default-src 'none'",
    `script-src ${hashOf(PAGE_SCRIPT)}`,
    `style-src ${hashOf(STYLE)}`,
    "connect-src 'self'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  vary: 'Accept',
}).fix();

export function answerPage(exchange: Exchange): void {
  answerBytes(exchange, 200, FIELDS, BODY);
}
