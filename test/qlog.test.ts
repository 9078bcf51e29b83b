// qlog of a connection over real sockets: each record as JSON-SEQ has it, each member that the schema requires, and events in
// order of time. Who asks for none has none made.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect, listen } from '../src/exports/quic.ts';
import { identityOf, made, serverExtensions } from '../src/protocols/quic/tls/testing/certificates.ts';
import { DAY, newKey } from '../src/security/certificate.ts';

const authority = made({
  name: 'localhost',
  issuer: undefined,
  key: newKey(),
  from: Date.now() - DAY,
  to: Date.now() + DAY,
  extensions: serverExtensions(['localhost', '127.0.0.1']),
});
const IDENTITY = identityOf(authority);

interface Event {
  readonly time: number;
  readonly name: string;
  readonly data: Readonly<Record<string, unknown>>;
}

test('the life of a connection as JSON-SEQ (draft-ietf-quic-qlog-main-schema §3, RFC 7464 §2.2)', async () => {
  const logs = new Map<string, string>();
  const wanted: string[] = [];
  const server = await listen(
    {
      alpn: ['echo'],
      ...IDENTITY,
      qlog: (group) => {
        wanted.push(group);
        // Of the second nothing is wanted.
        if (wanted.length > 1) return null;
        logs.set(group, '');
        return (record) => logs.set(group, logs.get(group)! + record);
      },
    },
    async (line) => {
      for await (const { stream } of line) {
        for await (const bytes of stream) await stream.write(bytes);
        stream.end();
      }
    },
  );
  const began = Date.now();
  for (let round = 0; round < 2; round++) {
    const line = await connect('localhost', server.port, { alpn: ['echo'], authorities: IDENTITY.certificate });
    const stream = await line.open();
    await stream.write(Buffer.alloc(50_000, 'x'));
    stream.end();
    let size = 0;
    for await (const bytes of stream) size += bytes.length;
    assert.equal(size, 50_000);
    await line.close();
  }
  server.close();
  assert.equal(new Set(wanted).size, 2);
  assert.deepEqual([...logs.keys()], wanted.slice(0, 1));
  const log = logs.get(wanted[0]!)!;
  // Each record stands between a record separator and a line feed.
  const records = log.split('\x1e');
  assert.equal(records.shift(), '');
  assert.ok(records.every((record) => record.endsWith('\n') && record.indexOf('\n') === record.length - 1));
  const [head, ...events] = records.map((record) => JSON.parse(record)) as [
    {
      qlog_version: string;
      qlog_format: string;
      trace: {
        vantage_point: { type: string };
        common_fields: { ODCID: string; time_format: string; reference_time: number };
      };
    },
    ...Event[],
  ];
  assert.deepEqual([head.qlog_version, head.qlog_format], ['0.3', 'JSON-SEQ']);
  const { vantage_point, common_fields } = head.trace;
  assert.equal(vantage_point.type, 'server');
  assert.deepEqual([common_fields.ODCID, common_fields.time_format], [wanted[0], 'relative']);
  assert.ok(Math.abs(common_fields.reference_time - began) < 60_000);
  let before = 0;
  for (const { time, name, data } of events) {
    assert.ok(typeof time === 'number' && time >= before, `${time} after ${before}`);
    before = time;
    assert.match(name, /^(transport|recovery|connectivity):[a-z_]+$/);
    assert.equal(typeof data, 'object');
  }
  const of = (name: string) => events.filter((event) => event.name === name).map(({ data }) => data);
  const sent = of('transport:packet_sent') as { header: { packet_type: string; packet_number: number } }[];
  const came = of('transport:packet_received') as { frames: { frame_type: string }[] }[];
  assert.ok(['initial', 'handshake', '1RTT'].every((type) => sent.some(({ header }) => header.packet_type === type)));
  assert.ok(came.some(({ frames }) => frames.some(({ frame_type }) => frame_type === 'stream')));
  assert.ok(of('recovery:metrics_updated').some(({ smoothed_rtt }) => Number(smoothed_rtt) > 0));
  assert.deepEqual(of('connectivity:connection_state_updated')[0], { new: 'handshake_complete' });
});
