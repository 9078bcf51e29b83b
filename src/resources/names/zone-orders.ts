// The orders about zones: what there are and hold, records that come and leave, files in and out, keys and their roll-over.
import { isAbsolute } from 'node:path';
import { INVALID, MISSING, OK, OUTCOME_NAMES, type Outcome, UNSUPPORTED } from '../../core/outcome.ts';
import { TYPE } from '../../formats/dns/records.ts';
import { count, flag, text, textIfAny } from '../accounts/order-fields.ts';
import { type Order, OrderError, type OrderRow, type Orders } from '../accounts/orders.ts';
import { ADDED, type Changes } from './changes.ts';
import type { ZoneContents } from './contents.ts';
import { type Edit, editOf, importOf, lineOf, listRecords, nameWithin, recordsAt } from './editing.ts';
import type { ZoneNames } from './names.ts';
import { contentsOf, ZoneFileError } from './open.ts';
import type { StoredZone } from './zone.ts';

const PAGE = 500;

/** A zone as it is shown. */
export function zoneFacts(zone: StoredZone): Readonly<Record<string, unknown>> {
  const { name, kind, serial, isSigned, usable, contents } = zone;
  return { zone: name === '' ? '.' : name, kind, serial, records: contents.records, signed: isSigned, usable };
}

export function zoneOrders(names: ZoneNames): Orders {
  const reading = (run: (zone: StoredZone, order: Order) => Readonly<Record<string, unknown>>): OrderRow => ({
    changes: false,
    run: async (_desk, order) => run(zoneOf(names, order), order),
  });
  const changing = (run: (zone: StoredZone, order: Order) => Promise<Readonly<Record<string, unknown>>>): OrderRow => ({
    changes: true,
    run: (_desk, order) => run(zoneOf(names, order), order),
  });
  const edited = async (zone: StoredZone, edit: Edit) => {
    const before = zone.serial;
    await changed(names, zone, (contents) => editOf(zone, contents, edit));
    return { ...zoneFacts(zone), changed: zone.serial !== before };
  };
  return {
    'zone.list': {
      changes: false,
      run: async (_desk, order) => {
        const from = count(order, 'from', 0, Number.MAX_SAFE_INTEGER);
        const zones = names.zones().slice(from, from + PAGE);
        return { zones: zones.map(zoneFacts), more: from + zones.length < names.zones().length };
      },
    },
    'zone.records': reading((zone, order) => shown(zone, order)),
    'zone.add': changing((zone, order) => edited(zone, { remove: [], add: text(order, 'records') })),
    'zone.remove': changing((zone, order) => {
      const [type, data] = [textIfAny(order, 'type'), textIfAny(order, 'data')];
      return edited(zone, {
        remove: [{ name: text(order, 'owner'), type: type ?? undefined, data: data ?? undefined }],
        add: '',
      });
    }),
    'zone.import': changing((zone, order) => imported(names, zone, text(order, 'file'))),
    'zone.keys': reading((zone) => ({ ...zoneFacts(zone), keys: keysOf(zone) })),
    'zone.sign': changing(async (zone) => {
      signingOf(zone);
      settle(await zone.signAgain(), 'signed');
      return zoneFacts(zone);
    }),
    'zone.roll': changing(async (zone, order) => {
      signingOf(zone);
      const role = text(order, 'role');
      if (role !== 'ksk' && role !== 'zsk') throw new OrderError(INVALID, `a key is ksk or zsk, and not ${role}`);
      const outcome = await zone.roll(role);
      if (outcome === INVALID) throw new OrderError(INVALID, `a ${role} of ${zone.name} is being replaced already`);
      settle(outcome, 'changed');
      return { ...zoneFacts(zone), keys: keysOf(zone) };
    }),
    'zone.seen': changing(async (zone, order) => {
      const gone = flag(order, 'gone');
      const wanted = keysOf(zone).filter(({ ds }) => ds !== '');
      await signingOf(zone).parentHas(new Set(gone ? [] : wanted.map(({ tag }) => tag)));
      await zone.resign();
      return { ...zoneFacts(zone), keys: keysOf(zone) };
    }),
  };
}

function zoneOf(names: ZoneNames, order: Order): StoredZone {
  const name = text(order, 'zone');
  const zone = names.zoneNamed(name.endsWith('.') ? name : `${name}.`) as StoredZone | null;
  if (zone !== null) return zone;
  throw new OrderError(MISSING, `there is no zone ${name}; zone list shows those that there are`);
}

function signingOf(zone: StoredZone): NonNullable<StoredZone['signing']> {
  if (zone.signing !== null) return zone.signing;
  throw new OrderError(UNSUPPORTED, `${zone.name} is not signed here: its configuration wants \`dnssec: true\``);
}

function keysOf(zone: StoredZone) {
  return signingOf(zone).shown(zone.origin);
}

function shown(zone: StoredZone, order: Order): Readonly<Record<string, unknown>> {
  const { contents } = zone;
  const [owner, after] = [textIfAny(order, 'owner'), textIfAny(order, 'after')];
  if (owner !== null) {
    const name = nameWithin(zone, owner);
    if (name === null) throw new OrderError(INVALID, `${owner} is not in the zone ${zone.name}`);
    const node = contents.find(name, 0);
    return { ...zoneFacts(zone), lines: node === 0 ? [] : recordsAt(contents, node).map(lineOf), next: '' };
  }
  const from = after === null ? null : nameWithin(zone, after);
  const { records, next } = listRecords(contents, from, PAGE);
  return { ...zoneFacts(zone), lines: records.map(lineOf), next };
}

/** A file of this machine: whoever gives orders may read it. */
async function imported(names: ZoneNames, zone: StoredZone, file: string): Promise<Readonly<Record<string, unknown>>> {
  if (!isAbsolute(file)) throw new OrderError(INVALID, `${file} is no absolute path`);
  let fresh: ZoneContents;
  try {
    fresh = contentsOf(file, zone.origin).contents;
  } catch (error) {
    if (error instanceof ZoneFileError) throw new OrderError(INVALID, error.message);
    throw error;
  }
  let [removed, added] = [0, 0];
  await changed(names, zone, (contents) => {
    const changes = importOf(zone, contents, fresh);
    [removed, added] = [0, 0];
    changes.each((direction, _name, type) => {
      if (type === TYPE.SOA) return;
      if (direction === ADDED) added++;
      else removed++;
    });
    return changes;
  });
  return { ...zoneFacts(zone), removed, added };
}

/** Makes a change, and waits until it is durable. Throws an `OrderError`. */
async function changed(
  names: ZoneNames,
  zone: StoredZone,
  make: (contents: ZoneContents) => Changes | string,
): Promise<void> {
  let wrong: string | null = null;
  const outcome = await new Promise<Outcome>((resolve) => {
    const changing = (contents: ZoneContents) => {
      const made = make(contents);
      if (typeof made !== 'string') return made;
      wrong = made;
      return INVALID;
    };
    names.change(zone, changing, { settled: (_token, settled) => resolve(settled) }, 0);
  });
  if (wrong !== null) throw new OrderError(INVALID, wrong);
  if (outcome === UNSUPPORTED)
    throw new OrderError(UNSUPPORTED, `${zone.name} comes from its primary, and is changed there`);
  settle(outcome, 'changed');
}

function settle(outcome: Outcome, done: string): void {
  if (outcome !== OK) throw new OrderError(outcome, `the zone could not be ${done} (${OUTCOME_NAMES[outcome]})`);
}
