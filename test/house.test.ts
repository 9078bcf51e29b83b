// The rules of the house, checked: what may import what, how long things may be, which names and calls are not used where.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const SOURCE = join(ROOT, 'src');

interface Source {
  /** Below `src`, with `/`. */
  readonly path: string;
  readonly text: string;
  /** The text without comments and without what is in quotes. */
  readonly code: string;
}

const ALL = walk(SOURCE).map((path): Source => {
  const text = readFileSync(path, 'utf8');
  return { path: relative(SOURCE, path).replaceAll('\\', '/'), text, code: codeOf(text) };
});

/** What runs in the server: neither tests nor the suites that tests import. */
const SHIPPED = ALL.filter(({ path }) => !isTestCode(path));

function isTestCode(path: string): boolean {
  return /\.test\.ts$|-suite\.ts$|conformance\.ts$|\/(?:fuzz|playbook|samples|fake-[a-z]+)\.ts$|\/(?:testing|vectors)\//.test(
    path,
  );
}

function walk(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return walk(path);
    return entry.name.endsWith('.ts') ? [path] : [];
  });
}

function codeOf(text: string): string {
  return text
    .replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ' '))
    .replace(/(^|[^:'"`\\])\/\/[^\n]*/g, '$1')
    .replace(/'(?:[^'\\\n]|\\.)*'/g, "''")
    .replace(/`(?:[^`\\$]|\\.)*`/g, '``');
}

function importsOf({ path, text }: Source): string[] {
  const found: string[] = [];
  for (const [, from] of text.matchAll(/(?:^|\n)\s*(?:import|export)[^;'"]*?from\s+'([^']+)'/g)) found.push(from!);
  for (const [, from] of text.matchAll(/(?:^|\n)import\s+'([^']+)'/g)) found.push(from!);
  for (const [, from] of text.matchAll(/\bimport\('([^']+)'\)/g)) found.push(from!);
  return found.map((from) => {
    if (!from.startsWith('.')) return from;
    const target = resolve(SOURCE, dirname(path), from);
    const inside = relative(SOURCE, target).replaceAll('\\', '/');
    return inside.startsWith('..') ? `outside/${inside}` : inside;
  });
}

/** For each folder, what its files may import of `src`; `''` stands for the files that lie in `src` itself. */
const LAW: readonly [folder: string, may: readonly string[]][] = [
  ['bytes/', ['bytes/']],
  ['core/', ['bytes/', 'core/']],
  ['formats/', ['bytes/', 'formats/']],
  ['transports/', ['bytes/', 'core/', 'transports/']],
  ['native/', ['bytes/', 'native/']],
  ['storage/', ['bytes/', 'core/', 'storage/']],
  ['security/', ['bytes/', 'core/', 'security/']],
  ['resources/', ['bytes/', 'core/', 'formats/', 'storage/engine.ts', 'storage/batch.ts', 'resources/']],
  ['inspector/', ['bytes/', 'core/', 'inspector/']],
  ['control/', ['bytes/', 'core/', 'transports/', 'resources/', 'inspector/', 'server/', 'control/']],
  ['server/', ['bytes/', 'core/', 'transports/', 'resources/', 'security/', 'server/']],
  ['sim/', ['bytes/', 'core/', 'server/', 'sim/']],
  ['protocols/', ['bytes/', 'core/', 'formats/', 'resources/', 'protocols/']],
  ['sites/', ['bytes/', 'core/', 'formats/', 'protocols/', 'sites/']],
  [
    'exports/',
    [
      ...['bytes/', 'core/', 'formats/', 'transports/', 'server/turn.ts', 'protocols/', 'exports/'],
      'resources/services/',
    ],
  ],
  ['lab/', ['bytes/', 'core/', 'sim/', 'security/certificate.ts', 'protocols/', 'lab/']],
  ['transfer/', ['bytes/', 'core/', 'formats/', 'transports/', 'protocols/', 'exports/', 'transfer/']],
  [
    'cli/',
    [
      'bytes/',
      'core/',
      'formats/',
      'server/',
      'transports/',
      'protocols/',
      'resources/',
      'storage/',
      'exports/',
      'inspector/',
      'control/',
      'security/',
      'transfer/',
      'lab/',
      'cli/',
      'portico.ts',
      'running/trust/secured.ts',
      'config.ts',
      'protocols.ts',
    ],
  ],
];

/** Within a protocol's folder, files that may know the resources. */
const KNOWS_RESOURCES = /^(?:server|index|datagrams|sys)[a-z-]*\.ts$/;

test('each folder imports only what it may', () => {
  const wrong: string[] = [];
  for (const source of SHIPPED) {
    const law = LAW.find(([folder]) => source.path.startsWith(folder));
    if (law === undefined) continue;
    for (const from of importsOf(source)) {
      if (from.startsWith('node:') || !/^[a-z-]+\//.test(from) || from.startsWith('@')) continue;
      // The version stands in package.json alone.
      if (from.endsWith('package.json')) continue;
      if (!law[1].some((may) => from.startsWith(may))) wrong.push(`${source.path} imports ${from}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('a protocol reaches the resources only through its server half', () => {
  const wrong: string[] = [];
  for (const source of SHIPPED) {
    const [folder, name, file] = source.path.split('/');
    if (folder !== 'protocols' || file === undefined) continue;
    for (const from of importsOf(source)) {
      const other = from.startsWith('protocols/') && from.split('/')[1] !== name;
      // WebDAV is the files over HTTP with more verbs.
      const extended = name === 'webdav' && from.startsWith('protocols/files/');
      if (other && !extended && !['text', 'http'].includes(from.split('/')[1]!))
        wrong.push(`${source.path} imports ${from}`);
      if (!from.startsWith('resources/') || KNOWS_RESOURCES.test(file)) continue;
      // Types vanish when the code runs; a value would be a dependency.
      if (!isTypeImport(source.text, from.split('/').at(-1)!) && !from.endsWith('topics/names.ts'))
        wrong.push(`${source.path} imports ${from}`);
    }
  }
  assert.deepEqual(wrong, []);
});

function isTypeImport(text: string, file: string): boolean {
  const statements = text.matchAll(new RegExp(`import (type )?([^;]*?) from '[^']*${file.replace('.', '\\.')}'`, 'g'));
  return [...statements].every(([, type, names]) => type !== undefined || /^\{(?:\s*type \w+,?)+\s*\}$/.test(names!));
}

test('sockets are the transports’ alone, and node:ffi is native’s', () => {
  const wrong: string[] = [];
  for (const source of SHIPPED) {
    for (const from of importsOf(source)) {
      if (/^node:(?:net|tls|dgram|http|https|http2)$/.test(from) && !source.path.startsWith('transports/'))
        wrong.push(`${source.path} imports ${from}`);
      if (from === 'node:ffi' && !source.path.startsWith('native/')) wrong.push(`${source.path} imports ${from}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('no shipped file imports a test or a file outside src', () => {
  const wrong: string[] = [];
  for (const source of SHIPPED)
    for (const from of importsOf(source))
      if (isTestCode(from) || from.startsWith('outside/')) {
        // The version stands in package.json alone.
        if (!from.endsWith('package.json')) wrong.push(`${source.path} imports ${from}`);
      }
  assert.deepEqual(wrong, []);
});

/** Sans-IO parts: no time, no timers, no promises, no chance, and no exception for what a peer did. */
const PURE =
  /^protocols\/[^/]+\/(?:codec|session|client|dissect|faults|limits|inbound|outbound|packets|properties)[a-z-]*\.ts$|^core\/|^bytes\//;
const IMPURE: readonly [string, RegExp][] = [
  ['reads the clock', /\bDate\.now\b|\bnew Date\(\)|\bperformance\.now\b/],
  ['uses chance', /\bMath\.random\b|\brandomBytes\b|\brandomUUID\b|\bgetRandomValues\b/],
  ['sets a timer', /\bset(?:Timeout|Interval|Immediate)\b|\bqueueMicrotask\b|\bnextTick\b/],
  ['uses promises', /\bnew Promise\b|\basync\b|\bawait\b|\.then\(/],
];

test('codecs and sessions have no clock, chance, timer, promise or throw', () => {
  const wrong: string[] = [];
  for (const source of SHIPPED) {
    if (!PURE.test(source.path)) continue;
    for (const [what, pattern] of IMPURE)
      if (pattern.test(source.code)) wrong.push(`${source.path} ${what}: ${pattern.exec(source.code)![0]}`);
    const mayThrow = source.path.startsWith('core/') || source.path.startsWith('bytes/');
    // A bug of the caller's is a RangeError; anything else would be for what a peer did.
    if (!mayThrow && /\bthrow\b(?! new RangeError\b)/.test(source.code)) wrong.push(`${source.path} throws`);
  }
  assert.deepEqual(wrong, []);
});

const LINES_MAX = 650;
const FUNCTION_MAX = 72;

test('files and functions are short enough to read in one sitting', () => {
  const wrong: string[] = [];
  for (const { path, text } of ALL) {
    const lines = text.split('\n');
    // A file that is longer says why at its head.
    if (lines.length > LINES_MAX && !/Longer than/.test(lines.slice(0, 8).join('\n')))
      wrong.push(`${path} has ${lines.length} lines`);
    if (!isTestCode(path)) wrong.push(...longFunctions(path, lines));
  }
  assert.deepEqual(wrong, []);
});

/** By indentation, which the formatter guarantees: from a line that opens a function to the brace that closes it. */
function longFunctions(path: string, lines: readonly string[]): string[] {
  const found: string[] = [];
  for (let at = 0; at < lines.length; at++) {
    const opened =
      /^( *)(?:export )?(?:async )?(?:function\*? |(?:private |protected |static |override |async |get |set |\*)*[\w#]+(?:<.*>)?\().*\{$/.exec(
        lines[at]!,
      );
    if (
      opened === null ||
      lines[at]!.endsWith('=> {') ||
      /^ *(?:if|for|while|switch|return|do|else|catch|test|describe)\b/.test(lines[at]!)
    )
      continue;
    const end = lines.findIndex((line, index) => index > at && line === `${opened[1]}}`);
    if (end - at > FUNCTION_MAX) found.push(`${path}:${at + 1} is a function of ${end - at} lines`);
  }
  return found;
}

test('names and words that are not used here', () => {
  const wrong: string[] = [];
  for (const { path, text, code } of ALL) {
    if (/\b\w*(?:Util|Utils|Helper|Helpers|Manager)\b|\bhandleData\b|\bctx\b/.test(code))
      wrong.push(`${path} has a banned name`);
    if (/(?:^|\/)(?:utils?|helpers?|common|misc)\.ts$/.test(path)) wrong.push(`${path} is a banned file name`);
    if (/\b(?:TODO|FIXME|XXX|HACK)\b/.test(text)) wrong.push(`${path} has unfinished work`);
    if (/: any\b|\bas any\b|<any>|@ts-ignore|@ts-nocheck/.test(code)) wrong.push(`${path} gives up on types`);
    if (/^\s*(?:export )?(?:enum|namespace) /m.test(code)) wrong.push(`${path} needs more than type stripping`);
    if (/\/(?:work|root|home)\/|localhost:\d{4,5}\/npm/.test(text)) wrong.push(`${path} names a path of some machine`);
  }
  assert.deepEqual(wrong, []);
});

test('bytes are copied by copyOf: slice is a view where they are a Buffer', () => {
  const wrong = SHIPPED.flatMap(({ path, code }) =>
    [...code.matchAll(/\b(?:input|bytes|arena|packet)\.slice\(/g)].map(([call]) => `${path} calls ${call}`),
  );
  assert.deepEqual(wrong, []);
});

test('a shipped file opens with what it is', () => {
  const wrong = SHIPPED.filter(({ text }) => !/^(?:#![^\n]*\n)?(?:\/\/ \S|\/\*\*? ?\n? ?\*? ?\S)/.test(text)).map(
    ({ path }) => path,
  );
  assert.deepEqual(wrong, []);
});

test('each protocol’s folder has its rooms, and protocols.ts lists it', () => {
  const protocols = new Set(
    SHIPPED.flatMap(({ path }) => (path.startsWith('protocols/') ? [path.split('/')[1]!] : [])),
  );
  const list = ALL.find(({ path }) => path === 'protocols.ts')?.text ?? '';
  const wrong: string[] = [];
  for (const name of protocols) {
    // What http1, http2 and http3 share, and the engine of the text protocols: no wire of their own.
    if (name === 'http' || name === 'text') continue;
    const has = (file: string) => ALL.some(({ path }) => path === `protocols/${name}/${file}`);
    for (const file of ['index.ts', 'limits.ts', 'faults.ts', 'dissect.ts'])
      if (!has(file)) wrong.push(`protocols/${name} has no ${file}`);
    if (!list.includes(`./protocols/${name}/index.ts`)) wrong.push(`protocols.ts does not list ${name}`);
  }
  assert.deepEqual(wrong, []);
});
