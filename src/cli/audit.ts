// `portico audit`: who signed in, who was refused, who changed what.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { AuditEntry } from '../resources/accounts/audit.ts';
import { momentText } from './moments.ts';
import { addOrderFlags, type OrderFlags, orders } from './order.ts';
import { EXIT, fail, green, red, visible } from './output.ts';

interface Flags extends OrderFlags {
  readonly follow?: boolean;
  readonly last: string;
}

/** How often a running server is asked for more. */
const FOLLOW_MS = 500;

const LAST_MAX = 200;

export function addAudit(program: Command): void {
  addOrderFlags(program.command('audit').description('who signed in, who was refused, who changed what'))
    .option('--last <count>', `how many entries to begin with, up to ${LAST_MAX}`, '50')
    .option('--follow', 'go on with what comes, until Ctrl-C')
    .action(audit);
}

async function audit(flags: Flags): Promise<void> {
  const last = /^\d{1,4}$/.test(flags.last) ? Number(flags.last) : Number.NaN;
  if (!(last <= LAST_MAX)) fail(`--last is ${flags.last}; it is a number up to ${LAST_MAX}`, EXIT.usage);
  await orders(flags, async (give) => {
    let answer = await give('audit.list', { most: last, tail: true });
    for (;;) {
      for (const entry of answer.entries as AuditEntry[]) say(entry, flags.json === true);
      if (flags.follow !== true) return;
      await sleep(FOLLOW_MS);
      answer = await give('audit.list', { after: answer.after });
    }
  });
}

function say(entry: AuditEntry, isJson: boolean): void {
  process.stdout.write(isJson ? `${JSON.stringify(entry)}\n` : `${lineOf(entry)}\n`);
}

function lineOf({ time, who, what, by, from, protocol, outcome, times, detail }: AuditEntry): string {
  const place = [from === '' ? 'this machine' : from, protocol].filter((part) => part !== '').join(', ');
  const many = times === undefined ? '' : ` ×${times}`;
  const more = detail === undefined ? '' : ` ${visible(detail)}`;
  const end = outcome === 'ok' ? green(outcome) : red(outcome);
  return `${momentText(time)} ${what.padEnd(14)} ${visible(who) || '-'} by ${visible(by) || '-'} from ${visible(place)}: ${end}${many}${more}`;
}
