import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ConfigError, checkConfig, environmentConfig, merge, readConfigFile } from './config.ts';

test('without anything it is what the documentation says', () => {
  const config = checkConfig({});
  assert.equal(config.data, './portico-data');
  assert.equal(config.storage, 'sqlite');
  assert.deepEqual(config.hosts, ['127.0.0.1', '::1']);
  assert.equal(config.ports, 'default');
  assert.deepEqual(config.log, { level: 'info', format: 'text' });
});

test('each mistake is said by its key, with the mend', () => {
  const cases: [unknown, RegExp][] = [
    [{ log: { levle: 'debug' } }, /^here: log\.levle is not known; did you mean level\?$/],
    [{ protocols: { mqqt: {} } }, /protocols\.mqqt is not known; did you mean mqtt\?/],
    [{ protocols: { mqtt: { prot: 1 } } }, /protocols\.mqtt\.prot is not known; did you mean port\?/],
    [
      { protocols: { mqtt: { limits: { packetBytesMx: 1 } } } },
      /packetBytesMx is not known; did you mean packetBytesMax\?/,
    ],
    [
      { protocols: { mqtt: { limits: { packetBytesMax: 1 } } } },
      /packetBytesMax is 1; it must be from 128 to \d+ \(bytes\)/,
    ],
    [{ upstreams: [{ name: 'a.B', soap: 'ftp://c/d' }] }, /is an http: or https: URL, or a file/],
    [{ upstreams: [{ name: 'a.B', grpc: 'http://c', soapPort: 'x' }] }, /only beside soap/],
    [{ upstreams: [{ name: 'a.B' }] }, /has one of graphql, openapi, grpc, soap/],
    [{ protocols: { mqtt: { port: 65_536 } } }, /protocols\.mqtt\.port a port is at most 65535/],
    [
      { topics: { history: [{ filter: 'a/#/b', history: 'none' }] } },
      /topics\.history\.0\.filter is not a filter of topics/,
    ],
    [{ topics: { history: [{ filter: '#', histroy: 'none' }] } }, /histroy is not known; did you mean history\?/],
    [{ outbound: { allow: ['10.0.0.0/99'] } }, /outbound\.allow\.0 10\.0\.0\.0\/99 is neither an address/],
    [{ shared: [{ port: 0, protocols: ['nntp'] }] }, /shared\.0\.protocols\.0 is one of http1, .*mqtt, lines/],
    [{ shared: [{ port: 0, protocols: [] }] }, /shared\.0\.protocols name at least one protocol/],
    [{ limits: { memoryBytesMax: 1 } }, /limits\.memoryBytesMax is at least 67108864/],
    [{ storage: 'disk' }, /storage is `sqlite` or `memory`/],
    [{ hosts: [] }, /hosts name at least one host/],
  ];
  for (const [input, expected] of cases)
    assert.throws(
      () => checkConfig(input, 'here'),
      (error: unknown) => error instanceof ConfigError && expected.test(error.message),
      `${JSON.stringify(input)} against ${expected}`,
    );
});

test('all mistakes are said at once', () => {
  assert.throws(
    () => checkConfig({ data: '', storage: 'x', zzz: 1 }),
    (error: ConfigError) => {
      assert.equal(error.message.split('\n').length, 3);
      return true;
    },
  );
});

test('environment variables are keys', () => {
  const environment = {
    PORTICO_DATA: '/x',
    PORTICO_HOSTS: '127.0.0.1, ::1',
    PORTICO_LOG_LEVEL: 'debug',
    PORTICO_LIMITS_LEAVEMS: '100',
    PORTICO_PROTOCOLS_MQTT_PORT: '1884',
    PORTICO_PROTOCOLS_LINES_UDPPORT: '7001',
    PORTICO_PROTOCOLS_LINES_ENABLED: 'false',
    OTHER: 'x',
  };
  assert.deepEqual(environmentConfig(environment), {
    data: '/x',
    hosts: ['127.0.0.1', '::1'],
    log: { level: 'debug' },
    limits: { leaveMs: 100 },
    protocols: { mqtt: { port: 1884 }, lines: { udpPort: 7001, enabled: false } },
  });
  assert.throws(() => environmentConfig({ PORTICO_DTAA: 'x' }), /PORTICO_DTAA is not known; did you mean data\?/);
  // Kubernetes sets these where a service is called portico.
  const kubernetes = {
    PORTICO_PORT: 'tcp://10.0.0.1:1883',
    PORTICO_SERVICE_HOST: 'x',
    PORTICO_PORT_1883_TCP_ADDR: 'x',
  };
  assert.deepEqual(environmentConfig(kubernetes), {});
});

test('what wins replaces key by key, lists whole', () => {
  assert.deepEqual(
    merge(
      { a: 1, log: { level: 'info', format: 'json' }, hosts: ['a', 'b'] },
      { log: { level: 'warn' }, hosts: ['c'] },
    ),
    {
      a: 1,
      log: { level: 'warn', format: 'json' },
      hosts: ['c'],
    },
  );
});

test('a file is found by its name, in TypeScript or JSON, and must export something', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'portico-config-'));
  try {
    assert.equal(await readConfigFile(undefined, folder), null);
    writeFileSync(join(folder, 'portico.config.json'), '{"storage":"memory"}');
    assert.deepEqual((await readConfigFile(undefined, folder))?.value, { storage: 'memory' });
    writeFileSync(join(folder, 'portico.config.ts'), 'const hosts: string[] = ["::1"];\nexport default { hosts };\n');
    assert.deepEqual((await readConfigFile(undefined, folder))?.value, { hosts: ['::1'] });
    writeFileSync(join(folder, 'none.ts'), 'export const a = 1;\n');
    await assert.rejects(readConfigFile('none.ts', folder), /none\.ts cannot be read: it has no default export/);
    writeFileSync(join(folder, 'bad.json'), '{');
    await assert.rejects(readConfigFile('bad.json', folder), /bad\.json cannot be read/);
    await assert.rejects(readConfigFile('absent.ts', folder), /absent\.ts is not there/);
    const upstreams = ['./a.wsdl', '/b.wsdl', 'https://c.example/?wsdl'].map((soap) => ({ name: 'a.B', soap }));
    writeFileSync(join(folder, 'soap.json'), JSON.stringify({ upstreams, services: ['./d.ts'] }));
    assert.deepEqual((await readConfigFile('soap.json', folder))?.value, {
      upstreams: [{ name: 'a.B', soap: join(folder, 'a.wsdl') }, ...upstreams.slice(1)],
      services: [join(folder, 'd.ts')],
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('proxies that are trusted: addresses, ranges and those of a Unix socket, also by the environment', () => {
  const { protocols } = checkConfig(environmentConfig({ PORTICO_PROTOCOLS_MQTT_PROXYPROTOCOL: '10.0.0.0/8, unix' }));
  assert.deepEqual(protocols.mqtt?.proxyProtocol, ['10.0.0.0/8', 'unix']);
  for (const proxyProtocol of [[], ['10.0.0/8'], ['proxy.example'], ['10.0.0.0/33']])
    assert.throws(
      () => checkConfig({ protocols: { mqtt: { proxyProtocol } } }),
      (error: Error) => error.message.includes('protocols.mqtt.proxyProtocol'),
    );
});
