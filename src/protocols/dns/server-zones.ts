// Zones as files over HTTP: GET /names/<zone> is its master file, for whoever may list it.
import type { Exchange, ExchangeHandler } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import { DENIED, MISSING, UNKNOWN } from '../../core/outcome.ts';
import type { Host } from '../../core/protocol.ts';
import type { Pinned } from '../../resources/names/contract.ts';
import { writeMaster } from '../../resources/names/master-file.ts';
import type { Resources } from '../../resources/resources.ts';
import { answerNothing, answerOutcome, answerProblem } from '../http/answers.ts';
import { belowPath } from '../http/target.ts';

const PREFIX = '/names/';
const MAY = 'GET, HEAD';

export function serveZones(host: Host<Resources>): ExchangeHandler {
  return (exchange) => serve(exchange, host);
}

function serve(exchange: Exchange, { resources: { names } }: Host<Resources>): void {
  const { method, caller } = exchange;
  if (method !== 'GET' && method !== 'HEAD') {
    answerProblem(
      exchange,
      405,
      `A zone is read by ${MAY}; it is changed by dynamic updates.`,
      new Fields().append('allow', MAY),
    );
    return;
  }
  const name = belowPath(exchange.target, PREFIX);
  const zone = name === null ? null : (names?.zoneNamed(name) ?? null);
  if (zone === null || !zone.usable) {
    answerOutcome(exchange, MISSING, 'There is no such zone here.');
    return;
  }
  // Addresses and keys are of DNS; here it is who signed in.
  if (!names!.may(caller, 'list', zone, '', '')) {
    answerOutcome(exchange, caller.account === '' ? UNKNOWN : DENIED, 'This zone may not be listed.');
    return;
  }
  const fields = new Fields().append('content-type', 'text/dns; charset=us-ascii').append('etag', `"${zone.serial}"`);
  if (method === 'HEAD') answerNothing(exchange, 200, fields);
  else new Writing(exchange, zone.pin()).begin(fields);
}

/** Writes a zone as there is room, in the state in which it was when it was asked for. */
class Writing {
  private readonly exchange: Exchange;
  private readonly pinned: Pinned;
  private readonly lines: Generator<string>;

  constructor(exchange: Exchange, pinned: Pinned) {
    this.exchange = exchange;
    this.pinned = pinned;
    this.lines = writeMaster(pinned.contents);
  }

  begin(fields: Fields): void {
    const { exchange } = this;
    exchange.on = {
      writable: () => this.goOn(),
      tick() {},
      leave: () => exchange.reset(0),
      lost: () => this.pinned.release(),
    };
    exchange.respond(200, fields);
    this.goOn();
  }

  private goOn(): void {
    const { exchange, lines } = this;
    while (exchange.room > 0) {
      const next = lines.next();
      if (next.done === true) {
        exchange.end();
        break;
      }
      const bytes = Buffer.from(next.value, 'latin1');
      exchange.share(bytes, 0, bytes.length);
    }
    exchange.flush();
  }
}
