// The rules of RFC 9113 for requests, by clause.
import { DATA, END_HEADERS, END_STREAM, HEADERS } from './codec.ts';
import { checkRules, type Rule } from './testing/rules.ts';
import { type Client, frame } from './testing/stage.ts';

type List = readonly (readonly [string, string])[];
const GET: List = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':authority', 'a.test'],
  [':path', '/'],
];
const MALFORMED = 'RST_STREAM 1 PROTOCOL_ERROR';

const asks =
  (fields: List, ends = true) =>
  (client: Client) =>
    client.says(frame(HEADERS, END_HEADERS | (ends ? END_STREAM : 0), 1, client.block(fields)));
const malformed = (what: string, fields: List): Rule => ({ what, says: asks(fields), hears: MALFORMED });
const fine = (what: string, fields: List, hears = 'DATA 1 GET / END_STREAM'): Rule => ({
  what,
  says: asks(fields),
  hears,
});
const without = (name: string): List => GET.filter(([has]) => has !== name);
const other = (name: string, value: string): List =>
  GET.map(([has, old]) => [has, has === name ? value : old] as const);
const sends =
  (length: string | null, ...bodies: string[]) =>
  (client: Client) => {
    const fields = [...other(':method', 'POST'), ...(length === null ? [] : ([['content-length', length]] as const))];
    asks(fields, bodies.length === 0)(client);
    for (const [at, text] of bodies.entries())
      client.says(frame(DATA, at === bodies.length - 1 ? END_STREAM : 0, 1, text));
  };

const FIELDS: Rule[] = [
  malformed('an upper-case name is malformed (RFC 9113 §8.2.1)', [...GET, ['X-Test', 'ok']]),
  malformed('a name with a space is malformed (§8.2.1)', [...GET, ['x test', 'ok']]),
  malformed('a value with a line end is malformed (§8.2.1)', [...GET, ['x-test', 'a\r\nb: c']]),
  malformed('a value that ends with white space is malformed (§8.2.1)', [...GET, ['x-test', 'a ']]),
  ...['connection', 'proxy-connection', 'keep-alive', 'transfer-encoding', 'upgrade'].map((name) =>
    malformed(`${name} is malformed (§8.2.2)`, [...GET, [name, 'chunked']]),
  ),
  malformed('TE of anything but trailers is malformed (§8.2.2)', [...GET, ['te', 'trailers, deflate']]),
  fine('TE of trailers is taken (§8.2.2)', [...GET, ['te', 'trailers']]),
];

const PSEUDO: Rule[] = [
  malformed('an unknown pseudo-header field is malformed (§8.3)', [...GET, [':test', 'ok']]),
  malformed('that of an answer is malformed in a request (§8.3)', [...GET, [':status', '200']]),
  malformed('a pseudo-header field behind others is malformed (§8.3)', [
    ...without(':path'),
    ['x-test', 'ok'],
    [':path', '/'],
  ]),
  malformed('the same behind Host (§8.3)', [...without(':path'), ['host', 'a.test'], [':path', '/']]),
  malformed('the same behind Cookie (§8.3)', [...without(':path'), ['cookie', 'a=b'], [':path', '/']]),
  ...[':method', ':scheme', ':path'].flatMap((name) => [
    malformed(`a request without ${name} is malformed (§8.3.1)`, without(name)),
    malformed(`a request with an empty ${name} is malformed (§8.3.1)`, other(name, '')),
    malformed(`a request with two ${name} is malformed (§8.3.1)`, [...GET.filter(([has]) => has === name), ...GET]),
  ]),
  malformed('two :authority are malformed (§8.3.1)', [[':authority', 'a.test'], ...GET]),
  malformed('a path that does not begin with a slash is malformed (§8.3.1)', other(':path', 'a')),
  malformed('a path with a fragment is malformed (§8.3.1)', other(':path', '/a#b')),
  malformed('an asterisk is for OPTIONS (§8.3.1)', other(':path', '*')),
  malformed('an authority with user information is malformed (§8.3.1)', other(':authority', 'me@a.test')),
  malformed('Host other than :authority is malformed (§8.3.1)', [...GET, ['host', 'b.test']]),
  malformed('two Hosts are malformed (RFC 9110 §7.2)', [
    ...without(':authority'),
    ['host', 'a.test'],
    ['host', 'a.test'],
  ]),
  fine('Host stands for :authority (§8.3.1)', [...without(':authority'), ['host', 'a.test']]),
  fine('Host that is the same is taken (§8.3.1)', [...GET, ['host', 'A.test']]),
  malformed('CONNECT without :authority is malformed (§8.5)', [[':method', 'CONNECT']]),
  malformed('CONNECT with :path is malformed (§8.5)', other(':method', 'CONNECT')),
  malformed(':protocol without CONNECT is malformed (RFC 8441 §4)', [...GET, [':protocol', 'websocket']]),
  malformed('extended CONNECT without :path is malformed (RFC 8441 §4)', [
    [':method', 'CONNECT'],
    [':protocol', 'websocket'],
    [':scheme', 'http'],
    [':authority', 'a.test'],
  ]),
];

const BODIES: Rule[] = [
  {
    what: 'a body as long as Content-Length says (§8.1.1)',
    says: sends('5', 'abc', 'de'),
    hears: 'DATA 1 abcde END_STREAM',
  },
  { what: 'a shorter one is malformed (§8.1.1)', says: sends('6', 'abc', 'de'), hears: MALFORMED },
  { what: 'a longer one is malformed (§8.1.1)', says: sends('4', 'abc', 'de'), hears: MALFORMED },
  { what: 'none, where there is to be one, is malformed (§8.1.1)', says: sends('1'), hears: MALFORMED },
  { what: 'a length that is no number is malformed (§8.1.1)', says: sends('+5', 'abcde'), hears: MALFORMED },
  {
    what: 'two lengths that differ are malformed (RFC 9110 §8.6)',
    says: asks([...other(':method', 'POST'), ['content-length', '1'], ['content-length', '2']], false),
    hears: MALFORMED,
  },
  {
    what: 'trailers end a body (§8.1)',
    says: (client) => {
      asks(other(':method', 'POST'), false)(client);
      client.says(frame(DATA, 0, 1, 'text'));
      client.says(frame(HEADERS, END_HEADERS | END_STREAM, 1, client.block({ sum: '1' })));
    },
    hears: 'DATA 1 text sum=1 END_STREAM',
  },
  {
    what: 'trailers that do not end the stream are malformed (§8.1)',
    says: (client) => {
      asks(other(':method', 'POST'), false)(client);
      client.says(frame(HEADERS, END_HEADERS, 1, client.block({ sum: '1' })));
    },
    hears: MALFORMED,
  },
  {
    what: 'a pseudo-header field in trailers is malformed (§8.1)',
    says: (client) => {
      asks(other(':method', 'POST'), false)(client);
      client.says(frame(HEADERS, END_HEADERS | END_STREAM, 1, client.block({ ':method': 'POST' })));
    },
    hears: MALFORMED,
  },
  {
    what: 'trailers before the body has its length are malformed (§8.1.1)',
    says: (client) => {
      asks([...other(':method', 'POST'), ['content-length', '5']], false)(client);
      client.says(frame(DATA, 0, 1, 'abc'));
      client.says(frame(HEADERS, END_HEADERS | END_STREAM, 1, client.block({ sum: '1' })));
    },
    hears: MALFORMED,
  },
];

checkRules([...FIELDS, ...PSEUDO, ...BODIES]);
