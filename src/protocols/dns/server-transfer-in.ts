// A zone as it comes by transfer: the messages of an AXFR or IXFR into contents or changes (RFC 5936 §2.2, RFC 1995 §4). It
// asks nobody and keeps nothing; what breaks the order of the records ends it.
import { ByteWriter } from '../../bytes/writer.ts';
import { NameBuffer, sameName, within } from '../../formats/dns/name.ts';
import { compareSerials, expandRdata, serialAt, TYPE } from '../../formats/dns/records.ts';
import { ADDED, Changes, REMOVED } from '../../resources/names/changes.ts';
import { ZoneContents } from '../../resources/names/contents.ts';
import { NAMES_LIMITS } from '../../resources/names/limits.ts';
import type { Message } from './codec.ts';

/** One step from a serial to the next: its changes, and the SOA behind it. */
export interface Step {
  readonly changes: Changes;
  readonly soa: Uint8Array;
  readonly soaTtl: number;
}

/** More is to come; the zone is as it was; it is whole; there are steps; what came is no transfer. */
export type Came = 'more' | 'same' | 'whole' | 'steps' | 'broken';

export class TransferIn {
  private readonly origin: Uint8Array;
  /** The serial that was known; -1 for none. */
  private readonly serial: number;
  private readonly name = new NameBuffer();
  private readonly data = new ByteWriter(70_000);
  private records = 0;
  /** SOA of the state that is transferred. */
  soa: Uint8Array = new Uint8Array(0);
  soaTtl = 0;
  contents: ZoneContents | null = null;
  readonly steps: Step[] = [];
  private changes: Changes | null = null;
  /** Of a row of changes: what follows leaves, or comes. */
  private comes = false;
  private stepSoa: Uint8Array = new Uint8Array(0);
  private stepTtl = 0;
  why = '';

  constructor(origin: Uint8Array, serial: number) {
    this.origin = origin;
    this.serial = serial;
  }

  /** Takes the next message, which was read whole. */
  take(message: Message): Came {
    for (let index = 0; index < message.answers; index++) {
      const came = this.record(message, index);
      if (came === 'more') continue;
      if (index + 1 < message.answers) return this.broken('there are records behind the last');
      return came;
    }
    // One SOA that is no newer says that all is as it was (RFC 1995 §4).
    if (this.records === 1 && this.serial >= 0 && compareSerials(this.serialOf(this.soa), this.serial) <= 0)
      return 'same';
    return message.answers === 0 ? this.broken('a message has no records') : 'more';
  }

  private record(message: Message, index: number): Came {
    const { name, data, origin } = this;
    const type = message.type[index]!;
    data.cut(0);
    if (++this.records > NAMES_LIMITS.zoneRecordsMax) return this.broken('the zone has too many records');
    if (!message.readOwner(index, name) || within(name.bytes, 0, origin) < 0)
      return this.broken('a record is not in the zone');
    const { bytes, start, dataAt, dataEnd } = message;
    if (!expandRdata(type, bytes, start, dataAt[index]!, dataEnd[index]!, data))
      return this.broken('the data of a record is not of its type');
    const ttl = message.ttl[index]!;
    const isSoa = type === TYPE.SOA;
    if (isSoa && !sameName(name.bytes, 0, origin, 0)) return this.broken('an SOA is not the zone’s');
    if (this.records === 1) {
      if (!isSoa) return this.broken('the first record is not the SOA');
      this.soa = Uint8Array.from(data.bytes.subarray(0, data.length));
      this.soaTtl = ttl;
      return 'more';
    }
    if (this.records === 2) this.choose(isSoa);
    return this.contents === null ? this.changed(isSoa, type, ttl) : this.whole(this.contents, isSoa, type, ttl);
  }

  /** What follows the first SOA says which kind it is: another that is the known state, or anything else. */
  private choose(isSoa: boolean): void {
    const isSteps =
      isSoa && this.serial >= 0 && this.dataSerial() === this.serial && this.dataSerial() !== this.serialOf(this.soa);
    if (!isSteps) this.contents = new ZoneContents(this.origin);
  }

  private whole(contents: ZoneContents, isSoa: boolean, type: number, ttl: number): Came {
    const { name, data } = this;
    if (!isSoa) {
      contents.add(name.bytes, 0, type, ttl, data.bytes, 0, data.length);
      return 'more';
    }
    if (this.dataSerial() !== this.serialOf(this.soa)) return this.broken('the last SOA is not the first');
    contents.add(this.origin, 0, TYPE.SOA, this.soaTtl, this.soa, 0, this.soa.length);
    return 'whole';
  }

  private changed(isSoa: boolean, type: number, ttl: number): Came {
    const { name, data } = this;
    if (!isSoa) {
      if (this.changes === null) return this.broken('changes begin with an SOA');
      this.changes.push(this.comes ? ADDED : REMOVED, name.bytes, 0, type, ttl, data.bytes, 0, data.length);
      return 'more';
    }
    if (this.changes !== null && !this.comes) {
      this.comes = true;
      this.stepSoa = Uint8Array.from(data.bytes.subarray(0, data.length));
      this.stepTtl = ttl;
      return 'more';
    }
    const expected = this.steps.length === 0 && this.changes === null ? this.serial : this.serialOf(this.stepSoa);
    if (this.changes !== null) this.steps.push({ changes: this.changes, soa: this.stepSoa, soaTtl: this.stepTtl });
    const serial = this.dataSerial();
    if (serial === this.serialOf(this.soa) && this.changes !== null && expected === serial) return 'steps';
    if (serial !== expected) return this.broken('the changes do not join on to one another');
    this.changes = new Changes();
    this.comes = false;
    return 'more';
  }

  private dataSerial(): number {
    return this.serialOf(this.data.bytes);
  }

  private serialOf(soa: Uint8Array): number {
    const at = serialAt(soa, 0);
    return ((soa[at]! << 24) | (soa[at + 1]! << 16) | (soa[at + 2]! << 8) | soa[at + 3]!) >>> 0;
  }

  private broken(why: string): Came {
    this.why = why;
    return 'broken';
  }
}
