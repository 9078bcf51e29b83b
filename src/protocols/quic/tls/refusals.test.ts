// Every message that must not be taken, and the alert that it ends with; and bytes of any kind, however they are cut.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Fault } from '../../../core/fault.ts';
import { type Level, VERSION_2 } from '../crypto.ts';
import { faults } from './faults.ts';
import { EarlyGuard, Tickets } from './index.ts';
import { CLIENT, HOST, identityOf, NOW, ROOT, server as serverOf } from './testing/certificates.ts';
import {
  APPLICATION,
  agree,
  deliver,
  done,
  EARLY,
  type Given,
  HANDSHAKE,
  INITIAL,
  pair,
  run,
  seeded,
} from './testing/ends.ts';
import { changed, extensionsOf, message, messagesOf, withExtensions } from './testing/messages.ts';

const LIMITS = { earlyAgeMs: 10_000, earlySeenMax: 1_000 };

function keeping() {
  return { tickets: new Tickets([Buffer.alloc(48, 7)], seeded(3)), guard: new EarlyGuard(NOW - 86_400_000, LIMITS) };
}

const hello = (given: Given = {}) => pair(given).client.sent[0]!.bytes;

/** What a server says to a first message. */
function toServer(bytes: Buffer, given: Given = {}, level: Level = INITIAL): Fault | null {
  const { server, clock } = pair(given);
  deliver(server, level, bytes, clock);
  return server.fault;
}

/** What a client says when one message of the server's flight is another. The server has said `sent` by then. */
function toClient(which: number, change: (bytes: Buffer) => Buffer, given: Given = {}): Fault | null {
  const { client, server, clock } = pair(given);
  deliver(server, INITIAL, client.sent.shift()!.bytes, clock);
  assert.equal(server.fault, null);
  const [first, second] = server.sent;
  const messages = [first!.bytes, ...messagesOf(second!.bytes)];
  assert.ok(which < messages.length);
  messages[which] = change(messages[which]!);
  messages.forEach((bytes, at) => {
    if (client.fault === null) deliver(client, at === 0 ? INITIAL : HANDSHAKE, bytes, clock);
  });
  return client.fault;
}

const SERVER_HELLO = 0;
const EXTENSIONS = 1;
const CERTIFICATE = 2;
const VERIFY = 3;
const FINISHED = 4;

const edit = (at: number, value: number) => (bytes: Buffer) => {
  const copy = Buffer.from(bytes);
  copy[at] = value;
  return copy;
};
const extension = (type: number, content: string | null) => (bytes: Buffer) => changed(bytes, type, content);

function named(expected: Fault, found: Fault | null, what = ''): void {
  assert.equal(found?.id ?? 'none', expected.id, what);
}

test('a ClientHello that must not be taken', () => {
  const good = hello();
  assert.equal(toServer(good), null);
  const bodyAt = 4 + 2 + 32;
  // legacy_session_id, RFC 9001 §8.4.
  const session = Buffer.concat([good.subarray(0, bodyAt), Buffer.from([1, 9]), good.subarray(bodyAt + 1)]);
  session.writeUIntBE(session.length - 4, 1, 3);
  const rows: readonly (readonly [Fault, Buffer])[] = [
    [faults.sessionId, session],
    [faults.version, extension(43, null)(good)],
    [faults.version, extension(43, '020303')(good)],
    [faults.malformed, extension(43, '0304')(good)],
    [faults.noShares, extension(51, null)(good)],
    [faults.noShares, extension(10, null)(good)],
    [faults.noAlgorithms, extension(13, null)(good)],
    [faults.malformed, extension(13, '0003040300')(good)],
    [faults.noScheme, extension(13, '00020804')(good)],
    [faults.noParameters, extension(57, null)(good)],
    [faults.noProtocol, extension(16, null)(good)],
    [faults.noProtocol, extension(16, '00050468747470')(good)],
    [faults.malformed, extension(16, '00020000')(good)],
    [faults.malformed, extension(16, '0000')(good)],
    [faults.noGroup, changed(changed(good, 51, '0000'), 10, '00021234')],
    [faults.shareUnlisted, extension(10, '0002001d')(good)],
    [faults.shareTwice, extension(51, `0048${`001d0020${'09'.repeat(32)}`.repeat(2)}`)(good)],
    [faults.share, extension(51, '0005001d000109')(good)],
    [faults.share, extension(51, `0024001d0020${'00'.repeat(32)}`)(good)],
    [faults.share, extension(51, `004500170041${'04'.repeat(65)}`)(good)],
    [faults.share, extension(51, `04c411ec04c0${'ff'.repeat(1_216)}`)(good)],
    [faults.malformed, extension(51, '0004001d0000')(good)],
    [faults.early, extension(42, '')(good)],
    [faults.malformed, extension(42, '00')(good)],
    [faults.serverName, extension(0, '00050000020a0a')(good)],
    [faults.serverName, extension(0, '0003000000')(good)],
    [faults.serverName, extension(0, '0008000001610000 0162'.replace(' ', ''))(good)],
    [faults.malformed, extension(44, '0000')(good)],
    [faults.duplicate, withExtensions(good, [...extensionsOf(good), [16, Buffer.from('0003026833', 'hex')]])],
    [faults.pskPlace, extension(41, '0000')(good)],
  ];
  for (const [fault, bytes] of rows) named(fault, toServer(bytes), bytes.toString('hex').slice(0, 40));
});

test('a ClientHello whose suites or compression must not be taken', () => {
  const good = hello();
  const suitesAt = 4 + 2 + 32 + 1;
  const size = good.readUInt16BE(suitesAt);
  const compressionAt = suitesAt + 2 + size;
  const put = (from: number, to: number, content: string) =>
    message(1, Buffer.concat([good.subarray(4, from), Buffer.from(content, 'hex'), good.subarray(to)]));
  named(faults.noSuite, toServer(put(suitesAt, compressionAt, '00021304')));
  named(faults.malformed, toServer(put(suitesAt, compressionAt, '0003130100')));
  named(faults.malformed, toServer(put(suitesAt, compressionAt, '0000')));
  named(faults.compression, toServer(put(compressionAt, compressionAt + 2, '020001')));
  named(faults.compression, toServer(put(compressionAt, compressionAt + 2, '0101')));
  named(faults.malformed, toServer(put(compressionAt, compressionAt + 2, '00')));
  // A hello of TLS 1.2 may end here.
  named(faults.version, toServer(message(1, good.subarray(4, compressionAt + 2))));
});

test('tickets in a ClientHello that must not be taken', () => {
  const server = keeping();
  const ticket = done({ server }).client.tickets[0]!;
  const given = { server, client: { ticket } };
  const good = hello(given);
  const offered = extensionsOf(good).at(-1)![1];
  assert.equal(toServer(good, given), null);
  const heard = (content: Buffer) => toServer(changed(good, 41, content.toString('hex')), given);
  const binderAt = offered.length - 1;
  named(faults.binder, heard(edit(binderAt, offered[binderAt]! ^ 1)(offered)));
  const identities = offered.subarray(0, 2 + offered.readUInt16BE(0));
  const binders = offered.subarray(identities.length);
  named(faults.malformed, heard(identities));
  named(faults.malformed, heard(Buffer.concat([identities, Buffer.from('0000', 'hex')])));
  named(
    faults.pskCount,
    heard(Buffer.concat([identities, Buffer.from(`0042${`20${'00'.repeat(32)}`.repeat(2)}`, 'hex')])),
  );
  named(faults.malformed, heard(Buffer.concat([Buffer.from('0000', 'hex'), binders])));
  named(faults.malformed, heard(Buffer.concat([offered, Buffer.from('00', 'hex')])));
  named(faults.noModes, toServer(changed(good, 45, null), given));
  // Not with key exchange alone: as if there were no ticket.
  assert.equal(toServer(changed(good, 45, '0100'), given), null);
  const list = extensionsOf(good);
  named(faults.pskPlace, toServer(withExtensions(good, [list.at(-1)!, ...list.slice(0, -1)]), given));
});

test('what a client does not know it does not have to: versions, suites, groups, extensions of later', () => {
  for (const [type, content] of [
    [43, '06030503047a7a'],
    [0x7777, 'ffffffff'],
    [0, '000900 00066675747572 65'.replaceAll(' ', '')],
  ] as const)
    assert.equal(toServer(changed(hello(), type, content)), null, String(type));
});

test('a ServerHello that must not be taken', () => {
  const at = 4 + 2 + 32;
  const rows: readonly (readonly [Fault, (bytes: Buffer) => Buffer])[] = [
    [faults.oldVersion, edit(5, 4)],
    [faults.suite, edit(at + 2, 4)],
    [faults.suite, edit(at + 2, 0xff)],
    [faults.compression, edit(at + 3, 1)],
    [faults.version, extension(43, null)],
    [faults.version, extension(43, '0303')],
    [faults.malformed, extension(43, '030400')],
    [faults.group, extension(51, null)],
    [faults.group, extension(51, '001800020909')],
    [faults.share, extension(51, '001d00020909')],
    [faults.malformed, extension(51, '001d0000')],
    [faults.malformed, extension(51, '001d')],
    [faults.notOffered, extension(41, '0000')],
    [faults.notOffered, extension(0x7777, '')],
    [faults.notHere, extension(16, '0003026833')],
    [faults.notHere, extension(57, '')],
    [
      faults.sessionEcho,
      (bytes) => message(2, Buffer.concat([bytes.subarray(4, at), Buffer.from([1, 0]), bytes.subarray(at + 1)])),
    ],
  ];
  for (const [fault, change] of rows) named(fault, toClient(SERVER_HELLO, change));
});

test('a server that goes on with a session that it cannot go on with', () => {
  const server = keeping();
  const ticket = done({ server }).client.tickets[0]!;
  const given = { server, client: { ticket, early: true } };
  named(faults.pskChoice, toClient(SERVER_HELLO, extension(41, '0001'), given));
  named(faults.malformed, toClient(SERVER_HELLO, extension(41, '00'), given));
  // The suite's hash is another.
  named(faults.pskChoice, toClient(SERVER_HELLO, edit(4 + 2 + 32 + 2, 2), given));
});

test('EncryptedExtensions that must not be taken', () => {
  const rows: readonly (readonly [Fault, (bytes: Buffer) => Buffer])[] = [
    [faults.noParameters, extension(57, null)],
    [faults.noProtocol, extension(16, null)],
    [faults.protocol, extension(16, '0003026832')],
    [faults.protocol, extension(16, '00060268330268 33'.replace(' ', ''))],
    [faults.malformed, extension(16, '0000')],
    [faults.notOffered, extension(42, '')],
    [faults.notOffered, extension(0x7777, '')],
    [faults.notHere, extension(51, '')],
    [faults.notHere, extension(43, '0304')],
    [
      faults.duplicate,
      (bytes) => withExtensions(bytes, [...extensionsOf(bytes), [16, Buffer.from('0003026833', 'hex')]]),
    ],
    [faults.malformed, (bytes) => message(8, Buffer.concat([bytes.subarray(4), Buffer.from([0])]))],
  ];
  for (const [fault, change] of rows) named(fault, toClient(EXTENSIONS, change));
  const server = keeping();
  const ticket = done({ server }).client.tickets[0]!;
  // 0-RTT that is taken without the session, or with another protocol.
  const early = { ticket, early: true };
  named(faults.early, toClient(EXTENSIONS, extension(42, ''), { client: early }));
  named(faults.early, toClient(EXTENSIONS, extension(16, '000b0a68712d696e7465726f70'), { server, client: early }));
});

test('a Certificate, CertificateVerify or Finished that must not be taken', () => {
  const rows: readonly (readonly [Fault, number, (bytes: Buffer) => Buffer])[] = [
    [faults.context, CERTIFICATE, (bytes) => message(11, Buffer.concat([Buffer.from([1, 7]), bytes.subarray(5)]))],
    [faults.noChain, CERTIFICATE, () => message(11, Buffer.alloc(4))],
    [faults.malformed, CERTIFICATE, () => message(11, Buffer.alloc(3))],
    [faults.malformed, CERTIFICATE, () => message(11, Buffer.from('00000005000000 0000'.replace(' ', ''), 'hex'))],
    [faults.certificateMalformed, CERTIFICATE, () => message(11, Buffer.from('000000060000010a0000', 'hex'))],
    [faults.notOffered, CERTIFICATE, () => message(11, Buffer.from('0000000a0000010a000400050000', 'hex'))],
    [faults.chainTooLong, CERTIFICATE, () => message(11, Buffer.from(`00000042${'0000010a0000'.repeat(11)}`, 'hex'))],
    [faults.scheme, VERIFY, edit(4, 2)],
    // RSA of old, which is for certificates alone.
    [faults.scheme, VERIFY, (bytes) => edit(4, 4)(edit(5, 1)(bytes))],
    // A scheme of ours, and of another key.
    [faults.signature, VERIFY, (bytes) => edit(4, 8)(edit(5, 7)(bytes))],
    [faults.signature, VERIFY, (bytes) => edit(bytes.length - 1, bytes.at(-1)! ^ 1)(bytes)],
    [faults.malformed, VERIFY, (bytes) => message(15, bytes.subarray(4, -1))],
    [faults.finished, FINISHED, edit(10, 0)],
    [faults.malformed, FINISHED, (bytes) => message(20, bytes.subarray(4, -1))],
    [faults.malformed, FINISHED, (bytes) => message(20, Buffer.concat([bytes.subarray(4), Buffer.alloc(1)]))],
  ];
  for (const [fault, which, change] of rows) named(fault, toClient(which, change));
});

test('a CertificateRequest that must not be taken', () => {
  const given = { server: { policy: { clientCertificate: 'required' as const, authorities: ROOT.pem } } };
  const which = 2;
  assert.equal(
    toClient(which, (bytes) => bytes, given),
    null,
  );
  named(
    faults.context,
    toClient(which, (bytes) => message(13, Buffer.concat([Buffer.from([1, 7]), bytes.subarray(5)])), given),
  );
  named(faults.noAlgorithms, toClient(which, extension(13, null), given));
  named(faults.malformed, toClient(which, extension(13, '0001'), given));
  named(
    faults.malformed,
    toClient(which, () => message(13, Buffer.alloc(2)), given),
  );
  // Not among the messages of a session that goes on.
  const server = { ...keeping(), policy: { clientCertificate: 'optional' as const, authorities: ROOT.pem } };
  const ticket = done({ server, client: { policy: CLIENT } }).client.tickets[0]!;
  const request = message(13, Buffer.from('00000800 0d000400020403'.replace(' ', ''), 'hex'));
  named(
    faults.unexpected,
    toClient(2, () => request, { server, client: { ticket } }),
  );
});

test('a ticket that must not be taken', () => {
  const server = keeping();
  const heard = (change: (bytes: Buffer) => Buffer) => {
    const both = pair({ server });
    for (;;) {
      const from = both.client.sent.length > 0 ? both.client : both.server;
      const { level, bytes } = from.sent.shift()!;
      if (level === APPLICATION) {
        deliver(both.client, level, change(bytes), both.clock);
        return both.client;
      }
      deliver(from === both.client ? both.server : both.client, level, bytes, both.clock);
    }
  };
  assert.equal(heard((bytes) => bytes).tickets.length, 1);
  named(faults.ticketEarly, heard(extension(42, '00004000')).fault);
  named(faults.malformed, heard(extension(42, '')).fault);
  named(faults.malformed, heard((bytes) => message(4, bytes.subarray(4, -1))).fault);
  named(faults.unexpected, heard((bytes) => edit(0, 24)(bytes)).fault, 'KeyUpdate, RFC 9001 §6');
  named(
    faults.unexpected,
    heard((bytes) => edit(0, 13)(bytes)).fault,
    'authentication after the handshake, RFC 9001 §4.4',
  );
  assert.equal(heard(extension(0x7777, '00')).tickets.length, 1);
  assert.equal(
    heard((bytes) => {
      const none = Buffer.from(bytes);
      none.fill(0, 4, 8);
      return none;
    }).tickets.length,
    0,
  );
});

test('what a server must not take of its client: certificates and Finished', () => {
  const policy = { clientCertificate: 'required' as const, authorities: ROOT.pem };
  const heard = (which: number, change: (bytes: Buffer) => Buffer, own: object = CLIENT) => {
    const both = pair({ server: { policy }, client: { policy: own } });
    deliver(both.server, INITIAL, both.client.sent.shift()!.bytes, both.clock);
    for (const { level, bytes } of both.server.sent.splice(0)) deliver(both.client, level, bytes, both.clock);
    const messages = messagesOf(both.client.sent.shift()!.bytes);
    messages[which] = change(messages[which]!);
    for (const bytes of messages) if (both.server.fault === null) deliver(both.server, HANDSHAKE, bytes, both.clock);
    return both.server.fault;
  };
  const same = (bytes: Buffer) => bytes;
  assert.equal(heard(0, same), null);
  named(faults.certificateRequired, heard(0, same, {}));
  named(faults.purpose, heard(0, same, identityOf(serverOf([HOST], ROOT))));
  named(faults.signature, heard(1, edit(20, 0)));
  named(faults.scheme, heard(1, edit(4, 2)));
  named(faults.finished, heard(2, edit(20, 0)));
  named(
    faults.unexpected,
    heard(1, () => message(20, Buffer.alloc(32))),
  );
  named(
    faults.unexpected,
    heard(0, () => message(5, Buffer.alloc(0))),
    'EndOfEarlyData, RFC 9001 §8.3',
  );
  named(
    faults.unexpected,
    heard(0, () => message(24, Buffer.from([0]))),
    'KeyUpdate',
  );
});

test('what the connection finds wrong with the parameters ends it', () => {
  const refusal = { id: 'quic.other', wire: 8, spec: '', text: '', scope: 'connection' } as const;
  const server = pair({ refusal: { server: refusal } });
  run(server);
  assert.equal(server.server.fault, refusal);
  const client = pair({ refusal: { client: refusal } });
  run(client);
  assert.equal(client.client.fault, refusal);
});

test('an identity that cannot be used, and a name that nobody has', () => {
  const broken = { certificate: 'none', key: 'none' };
  named(faults.internal, toServer(hello(), { server: { policy: broken } }));
  const other = identityOf(serverOf([HOST], ROOT));
  const mixed = { certificate: other.certificate, key: identityOf(serverOf([HOST], ROOT)).key };
  named(faults.internal, toServer(hello(), { server: { policy: mixed } }));
  const asked: unknown[] = [];
  const identities = {
    pick(...all: readonly unknown[]) {
      asked.push(all);
      return null;
    },
  };
  named(
    faults.nameUnknown,
    toServer(hello(), { server: { policy: { identities }, ends: { remote: null, local: { host: '::1', port: 1 } } } }),
  );
  assert.deepEqual(asked, [[HOST, { host: '::1', port: 1 }, ['h3', 'hq-interop']]]);
});

test('RFC 9001 §4.1.3: a message at another level than its own, or left over when keys change', () => {
  for (const level of [HANDSHAKE, APPLICATION] as const) named(faults.wrongLevel, toServer(hello(), {}, level));
  named(faults.earlyCrypto, toServer(hello(), {}, EARLY));
  const { client, server, clock } = pair();
  deliver(server, INITIAL, client.sent.shift()!.bytes, clock);
  const [first, second] = server.sent;
  const early = pair();
  deliver(early.client, HANDSHAKE, second!.bytes, clock);
  named(faults.wrongLevel, early.client.fault);
  const joined = pair();
  deliver(joined.client, INITIAL, Buffer.concat([first!.bytes, second!.bytes]), clock);
  named(faults.leftover, joined.client.fault);
  // Also a part of a message.
  deliver(client, INITIAL, Buffer.concat([first!.bytes, Buffer.from([8])]), clock);
  named(faults.leftover, client.fault);
  named(faults.leftover, toServer(Buffer.concat([hello(), Buffer.from([1])])));
});

test('a message out of turn, and one that is too long, are found by their first bytes', () => {
  for (let type = 0; type < 256; type++)
    if (type !== 1) named(faults.unexpected, toServer(Buffer.from([type, 0, 1, 0])), String(type));
  named(faults.tooLong, toServer(Buffer.from([1, 1, 0, 1])));
  assert.equal(toServer(Buffer.from([1, 1, 0, 0])), null);
  named(faults.unexpected, toServer(Buffer.from([2])) ?? toServer(Buffer.from([2, 0, 0, 1])));
});

test('who is at fault stays so', () => {
  const { server, client, clock } = pair();
  deliver(server, INITIAL, Buffer.from([9, 0, 0, 0]), clock);
  const good = client.sent[0]!.bytes;
  assert.equal(server.handshake.receive(INITIAL, good, 0, good.length, clock), faults.unexpected);
  assert.equal(server.sent.length, 0);
});

test('however the bytes are cut, the conversation is the same', () => {
  const policy = { clientCertificate: 'required' as const, authorities: ROOT.pem };
  const server = { ...keeping(), policy };
  const ticket = done({ server, client: { policy: CLIENT } }).client.tickets[0]!;
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1 }),
      fc.boolean(),
      fc.boolean(),
      (sizes, goesOn, asks) => {
        const both = pair({
          server,
          client: { policy: CLIENT, ...(goesOn ? { ticket } : {}), shares: asks ? 1 : 2 },
        });
        let turn = 0;
        run(both, () => sizes[turn++ % sizes.length]!);
        assert.deepEqual([both.client.fault, both.server.fault], [null, null]);
        assert.ok(both.client.handshake.complete && both.server.handshake.complete);
        assert.equal(both.server.handshake.resumed, goesOn);
        agree(both);
      },
    ),
    { numRuns: 40 },
  );
});

test('any bytes at any level neither throw nor hang', () => {
  const levels = fc.constantFrom<Level>(INITIAL, EARLY, HANDSHAKE, APPLICATION);
  fc.assert(
    fc.property(fc.array(fc.tuple(levels, fc.uint8Array({ maxLength: 300 })), { maxLength: 6 }), (said) => {
      const both = pair();
      for (const end of [both.client, both.server])
        for (const [level, bytes] of said) deliver(end, level, Buffer.from(bytes), both.clock);
    }),
    { numRuns: 200 },
  );
});

test('a conversation with any byte changed, taken away or added ends in a fault or in agreement', () => {
  const server = { ...keeping(), policy: { clientCertificate: 'optional' as const, authorities: ROOT.pem } };
  const ticket = done({ server, client: { policy: CLIENT } }).client.tickets[0]!;
  const spoil = fc.record({
    flight: fc.nat(3),
    at: fc.nat(4_000),
    kind: fc.constantFrom('change', 'cut', 'drop', 'add'),
    byte: fc.nat(255),
    goesOn: fc.boolean(),
  });
  fc.assert(
    fc.property(spoil, ({ flight, at, kind, byte, goesOn }) => {
      const both = pair({ server, client: { policy: CLIENT, ...(goesOn ? { ticket, early: true } : {}) } });
      for (let turn = 0; ; turn++) {
        const from = both.client.sent.length > 0 ? both.client : both.server.sent.length > 0 ? both.server : null;
        if (from === null) break;
        const to = from === both.client ? both.server : both.client;
        const { level, bytes } = from.sent.shift()!;
        deliver(to, level, turn === flight ? spoiled(bytes, kind, at % bytes.length, byte) : bytes, both.clock);
        if (to.fault !== null) {
          assert.ok(to.fault.wire >= 0x100 || to.fault.wire === 0x0a, to.fault.id);
          return;
        }
      }
      if (both.client.handshake.complete && both.server.handshake.complete) agree(both);
    }),
    { numRuns: 250 },
  );
});

function spoiled(bytes: Buffer, kind: string, at: number, byte: number): Buffer {
  if (kind === 'change') return edit(at, byte)(bytes);
  if (kind === 'cut') return bytes.subarray(0, at);
  const rest = kind === 'drop' ? at + 1 : at;
  const between = kind === 'add' ? Buffer.from([byte]) : Buffer.alloc(0);
  return Buffer.concat([bytes.subarray(0, at), between, bytes.subarray(rest)]);
}

test('every message that is cut short inside, or has a byte more, is malformed or worse', () => {
  for (let which = SERVER_HELLO; which <= FINISHED; which++) {
    const longer = toClient(which, (bytes) => message(bytes[0]!, Buffer.concat([bytes.subarray(4), Buffer.from([0])])));
    assert.ok(longer !== null, `message ${which} with a byte more`);
    for (let left = 0; left < 40; left++) {
      let whole = false;
      const fault = toClient(which, (bytes) => {
        whole = left >= bytes.length - 4;
        return message(bytes[0]!, bytes.subarray(4, 4 + left));
      });
      assert.ok(whole || fault !== null, `message ${which} with ${left} bytes`);
    }
  }
  const good = hello();
  for (let left = 0; left < good.length - 4; left += 7)
    assert.ok(toServer(message(1, good.subarray(4, 4 + left))) !== null, `hello of ${left}`);
  assert.ok(toServer(message(1, Buffer.concat([good.subarray(4), Buffer.from([0])]))) !== null);
});

test('versions of QUIC do not change the handshake', () => {
  const { client } = done({ client: { version: VERSION_2 }, server: { version: VERSION_2 } });
  assert.equal(client.handshake.alpn, 'h3');
});

test('the key log has both ends tell the same, under the client’s random', () => {
  const [ours, theirs]: [string[], string[]] = [[], []];
  const server = keeping();
  const ticket = done({ server }).client.tickets[0]!;
  const both = done({
    client: { ticket, early: true, policy: { keyLog: (line: Buffer) => ours.push(String(line)) } },
    server: { ...server, policy: { keyLog: (line: Buffer) => theirs.push(String(line)) } },
  });
  assert.equal(both.server.handshake.early, true);
  assert.deepEqual([...ours].sort(), [...theirs].sort());
  assert.deepEqual(
    ours.map((line) => line.split(' ')[0]),
    [
      'CLIENT_EARLY_TRAFFIC_SECRET',
      'CLIENT_HANDSHAKE_TRAFFIC_SECRET',
      'SERVER_HANDSHAKE_TRAFFIC_SECRET',
      'CLIENT_TRAFFIC_SECRET_0',
      'SERVER_TRAFFIC_SECRET_0',
    ],
  );
  assert.match(ours[0]!, /^[A-Z_0-9]+ [0-9a-f]{64} [0-9a-f]{64}\n$/);
});

test('RFC 8701: a client greases suites, groups, versions and extensions, and not always alike', () => {
  const seen = new Set<number>();
  for (let seed = 0; seed < 40; seed++) {
    const bytes = hello({ client: { entropy: seeded(seed) } });
    const grease = extensionsOf(bytes)
      .map(([type]) => type)
      .filter((type) => (type & 0x0f0f) === 0x0a0a);
    assert.equal(grease.length, 1);
    seen.add(grease[0]!);
    assert.equal(toServer(bytes), null);
  }
  assert.ok(seen.size > 3);
});
