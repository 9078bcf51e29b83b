// `portico zone`: the zones of the server that runs here, their records, files and keys.
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { momentText } from './moments.ts';
import { addOrderFlags, type OrderFields, type OrderFlags, orders } from './order.ts';
import { bold, dim, EXIT, fail, yellow } from './output.ts';

interface Facts {
  readonly zone: string;
  readonly kind: string;
  readonly serial: number;
  readonly records: number;
  readonly signed: boolean;
  readonly usable: boolean;
}

interface Key {
  readonly role: string;
  readonly tag: number;
  readonly algorithm: number;
  readonly state: string;
  readonly since: number;
  readonly seen: number | null;
  readonly ds: string;
}

type Page = Facts & { readonly lines: readonly string[]; readonly next: string };

/** Zones are what a running server has open. */
const LIVE = { live: true } as const;
/** A zone that changes while it is written out is begun again. */
const TRIES = 5;

export function addZone(program: Command): void {
  const zone = program.command('zone').description('zones of the server that runs here');
  const verb = (name: string, what: string) => addOrderFlags(zone.command(name).description(what));
  const named = (name: string, what: string) => verb(name, what).argument('<zone>', 'as zone list shows it');
  verb('list', 'all zones').action(list);
  named('show', 'the records of a zone, or of one name').argument('[name]', 'as www, or @').action(show);
  named('export', 'writes a zone as a master file').action(write);
  named('import', 'makes a zone as a master file has it').argument('<file>').action(read);
  named('add', 'adds a record')
    .argument('<name>', 'as www, or @')
    .argument('<type>', 'as A')
    .argument('<data...>', 'as in a master file')
    .option('--ttl <seconds>', 'how long it may be kept by others', '3600')
    .action(add);
  named('remove', 'removes a record, or all of a name')
    .argument('<name>', 'as www, or @')
    .argument('[type]', 'only these')
    .argument('[data...]', 'only this one')
    .action(remove);
  named('keys', 'the keys that sign a zone, and what the zone above needs to have').action(keys);
  named('sign', 'signs all of a zone anew').action(sign);
  named('roll', 'begins to replace a key, without a gap').argument('<role>', 'ksk or zsk').action(roll);
  named('seen', 'says that the zone above has the DS records that zone keys shows')
    .option('--gone', 'that it has none of them')
    .action(seen);
}

const give = (flags: OrderFlags, what: string, fields: OrderFields) =>
  orders(flags, (send) => send(what, fields), LIVE);

function print(flags: OrderFlags, answer: unknown, lines: readonly string[]): void {
  if (flags.json === true) process.stdout.write(`${JSON.stringify(answer)}\n`);
  else for (const line of lines) process.stdout.write(`${line}\n`);
}

function factsLine({ zone, kind, serial, records, signed, usable }: Facts): string {
  const about = [kind, `serial ${serial}`, `${records} records`, ...(signed ? ['signed'] : [])].join(', ');
  return `${bold(zone)} ${dim(about)}${usable ? '' : ` ${yellow('not answered from')}`}`;
}

async function list(flags: OrderFlags): Promise<void> {
  const zones = await orders(
    flags,
    async (send) => {
      const all: Facts[] = [];
      for (let more = true; more; ) {
        const answer = await send('zone.list', { from: all.length });
        all.push(...(answer.zones as Facts[]));
        more = answer.more === true;
      }
      return all;
    },
    LIVE,
  );
  print(flags, zones, zones.length === 0 ? ['there are no zones'] : zones.map(factsLine));
}

/** All lines of a zone, of one moment. */
function linesOf(flags: OrderFlags, zone: string): Promise<Page> {
  return orders(
    flags,
    async (send) => {
      for (let tries = 0; tries < TRIES; tries++) {
        const lines: string[] = [];
        let page = (await send('zone.records', { zone })) as unknown as Page;
        const { serial } = page;
        lines.push(...page.lines);
        while (page.next !== '' && page.serial === serial) {
          page = (await send('zone.records', { zone, after: page.next })) as unknown as Page;
          lines.push(...page.lines);
        }
        if (page.serial === serial) return { ...page, lines };
      }
      return fail(`${zone} changes faster than it can be written out; transfer it (dig AXFR)`, EXIT.failed);
    },
    LIVE,
  );
}

async function show(zone: string, name: string | undefined, flags: OrderFlags): Promise<void> {
  const page =
    name === undefined
      ? await linesOf(flags, zone)
      : ((await give(flags, 'zone.records', { zone, owner: name })) as unknown as Page);
  print(flags, page, [factsLine(page), ...page.lines]);
}

async function write(zone: string, flags: OrderFlags): Promise<void> {
  const page = await linesOf(flags, zone);
  print(flags, page, [`$ORIGIN ${page.zone === '.' ? '.' : `${page.zone}.`}`, ...page.lines]);
}

async function read(zone: string, file: string, flags: OrderFlags): Promise<void> {
  const answer = await give(flags, 'zone.import', { zone, file: resolve(file) });
  const { removed, added } = answer;
  print(flags, answer, [`${factsLine(answer as unknown as Facts)}: ${removed} removed, ${added} added`]);
}

/** As one field of a master file that was one argument of the shell. */
const dataOf = (words: readonly string[]) =>
  words.map((word) => (/\s/.test(word) && !word.includes('"') ? `"${word}"` : word)).join(' ');

async function add(
  zone: string,
  name: string,
  type: string,
  data: string[],
  flags: OrderFlags & { readonly ttl: string },
): Promise<void> {
  const records = `${name} ${flags.ttl} IN ${type} ${dataOf(data)}`;
  if (records.includes('\n')) fail('a record is one line', EXIT.usage);
  const answer = await give(flags, 'zone.add', { zone, records });
  print(flags, answer, [factsLine(answer as unknown as Facts)]);
}

async function remove(
  zone: string,
  name: string,
  type: string | undefined,
  data: string[],
  flags: OrderFlags,
): Promise<void> {
  const only = { ...(type === undefined ? {} : { type }), ...(data.length === 0 ? {} : { data: dataOf(data) }) };
  const answer = await give(flags, 'zone.remove', { zone, owner: name, ...only });
  print(flags, answer, [factsLine(answer as unknown as Facts)]);
}

function keyLines({ zone, keys: all }: { readonly zone: string; readonly keys: readonly Key[] }): string[] {
  return all.flatMap(({ role, tag, algorithm, state, since, seen: from, ds }) => {
    const parent =
      role === 'zsk' ? '' : from === null ? ', not seen above' : `, above since ${momentText(from * 1_000)}`;
    const about = `algorithm ${algorithm}, ${state} since ${momentText(since * 1_000)}${parent}`;
    return [`${bold(`${role} ${tag}`)} ${dim(about)}`, ...(ds === '' ? [] : [`  ${zone}. IN DS ${ds}`])];
  });
}

async function keys(zone: string, flags: OrderFlags): Promise<void> {
  const answer = await give(flags, 'zone.keys', { zone });
  print(flags, answer, keyLines(answer as never));
}

async function sign(zone: string, flags: OrderFlags): Promise<void> {
  const answer = await give(flags, 'zone.sign', { zone });
  print(flags, answer, [factsLine(answer as unknown as Facts)]);
}

async function roll(zone: string, role: string, flags: OrderFlags): Promise<void> {
  const answer = await give(flags, 'zone.roll', { zone, role });
  print(flags, answer, keyLines(answer as never));
}

async function seen(zone: string, flags: OrderFlags & { readonly gone?: boolean }): Promise<void> {
  const answer = await give(flags, 'zone.seen', { zone, gone: flags.gone === true });
  print(flags, answer, keyLines(answer as never));
}
