import assert from 'node:assert/strict';
import { messagesSuite } from '../../core/messages-suite.ts';
import { SUITE_BOUNDS } from '../../core/pipe-suite.ts';
import { linkPipes } from '../../sim/pipes.ts';
import { World } from '../../sim/world.ts';
import { acceptOffer, clientDeflate, OFFER, readAnswer, ServerDeflate } from './deflate.ts';
import { readExtensions } from './extensions.ts';
import { WebSocketSession } from './session.ts';
import { openingOf } from './testing/bench.ts';

for (const cut of [0, 1, 500]) {
  for (const compressed of [false, true]) {
    for (const nearRole of ['client', 'server'] as const) {
      messagesSuite(`websocket, near is ${nearRole}, cut ${cut}${compressed ? ', compressed' : ''}`, () => {
        const world = new World(cut + 1);
        return {
          async join(near, far) {
            const farRole = nearRole === 'client' ? 'server' : 'client';
            const terms = acceptOffer(readExtensions(OFFER)!, true)!;
            const compressionOf = (role: 'server' | 'client') => {
              if (!compressed) return null;
              if (role === 'server') return new ServerDeflate(10).open(terms.terms);
              return clientDeflate(readAnswer(readExtensions(terms.answer)!)!);
            };
            const limits = { compressBytesLeast: 0 };
            const open = (role: 'server' | 'client') =>
              openingOf(world, role, { limits, compression: compressionOf(role) });
            // Bounds for as much as arrives, so that what is compressed is held back as well.
            const bounds = compressed ? { ...SUITE_BOUNDS, highMark: 200, lowMark: 100 } : SUITE_BOUNDS;
            const link = linkPipes(
              world,
              (pipe) => new WebSocketSession(pipe, open(nearRole), near),
              (pipe) => new WebSocketSession(pipe, open(farRole), far),
              { cut, bounds, window: compressed ? 200 : 65_536 },
            );
            return {
              leaveFar: (why) => link.far.leave(why, 1_000),
              cut: () => link.cut(),
            };
          },
          async until(done) {
            world.pass(1);
            for (let ms = 0; !done(); ms++) {
              assert.ok(ms < 60_000, 'nothing more happens');
              world.pass(1);
            }
          },
          bugs: world.bugs,
        };
      });
    }
  }
}
