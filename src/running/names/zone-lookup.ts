// What the server itself wants to know of names: of its own zones from these, of all others from who resolves.
import { copyOf } from '../../bytes/reader.ts';
import { nameFrom, sameName } from '../../formats/dns/name.ts';
import { TYPE } from '../../formats/dns/records.ts';
import { ANSWER, type AnswerSink, NXDOMAIN } from '../../resources/names/lookup.ts';
import type { ZoneNames } from '../../resources/names/names.ts';
import { type Found, type Lookup, type LookupType, textOf } from './looking-up.ts';

/** A zone that is seen by some only is seen by this machine, where that is among them. */
const OURSELVES = '127.0.0.1';

/** The last set that an answer has. */
class Last implements AnswerSink {
  type = 0;
  readonly data: Buffer[] = [];

  set(...[section, , , zone, set]: Parameters<AnswerSink['set']>): void {
    if (section !== ANSWER) return;
    this.type = zone.typeOf(set);
    this.data.length = 0;
    let record = zone.firstRecord(set);
    for (let left = zone.countOf(set); left > 0; left--) {
      const end = zone.recordEnd(record);
      this.data.push(copyOf(zone.arena, record, end));
      record = end + 2;
    }
  }

  made(): void {
    this.type = TYPE.CNAME;
  }
}

export class ZoneLookup implements Lookup {
  private readonly names: ZoneNames;
  private readonly others: Lookup;

  constructor(names: ZoneNames, others: Lookup) {
    this.names = names;
    this.others = others;
  }

  find(name: string, type: LookupType): Promise<Found> {
    const found = this.own(name, type);
    return found === null ? this.others.find(name, type) : Promise.resolve(found);
  }

  /** Null for what is not of our zones: another's name, a name below a delegation, an alias that leads out. */
  private own(name: string, type: LookupType): Found | null {
    const { names } = this;
    const wire = nameFrom(`${name.replace(/\.$/, '')}.`);
    // What a zone has in the one above is that one's (RFC 4035 §3.1.4.1).
    const zone = wire === null ? null : names.zoneOf(wire, 0, OURSELVES, type === 'DS');
    if (wire === null || zone === null || !zone.usable) return null;
    if (type === 'DS' && sameName(zone.origin, 0, wire, 0)) return null;
    const last = new Last();
    const rcode = names.answer(zone, last, wire, 0, TYPE[type], false, true);
    if (names.referred) return null;
    // Nobody stands between us and our own word.
    const isSecure = zone.isSigned;
    if (rcode === NXDOMAIN) return { kind: 'missing', values: [], isSecure };
    if (last.data.length === 0 && last.type === 0) return { kind: 'nothing', values: [], isSecure };
    if (last.type !== TYPE[type]) return null;
    return { kind: 'data', values: last.data.map((data) => textOf(type, data)), isSecure };
  }
}
