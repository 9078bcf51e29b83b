// `portico status`: what runs on a data folder, and how it fares.
import type { Command } from 'commander';
import type { Said } from '../control/words.ts';
import { urlOf } from '../portico.ts';
import { addPlaceFlags, type PlaceFlags } from './configured.ts';
import { askControl, controlPlace } from './control-call.ts';
import { bold, EXIT, fail } from './output.ts';

type Answer = Extract<Said, { answer: 'status' }>;

export function addStatus(program: Command): void {
  addPlaceFlags(program.command('status').description('what runs, on which ports, and how it fares'))
    .option('--json', 'print it as one JSON line')
    .action((flags: PlaceFlags & { readonly json?: boolean }) => status(flags));
}

async function status(flags: PlaceFlags & { readonly json?: boolean }): Promise<void> {
  const path = await controlPlace(flags);
  let isAnswered = false;
  const held = await askControl(
    path,
    { ask: 'status' },
    {
      said(said) {
        if ('error' in said) fail(said.error, EXIT.usage);
        if (!('answer' in said) || said.answer !== 'status') return;
        isAnswered = true;
        const { answer: _, ...fields } = said;
        process.stdout.write(flags.json === true ? `${JSON.stringify(fields)}\n` : textOf(said));
        held.end();
      },
      closed() {
        if (!isAnswered) fail('the server went away', EXIT.unavailable);
        process.exitCode = EXIT.ok;
      },
    },
  );
}

function textOf(status: Answer): string {
  const { portico, node, pid, forMs, data, memory, native, connections, watching, protocols, topics, listening } =
    status;
  const row = (name: string, text: string) => `  ${bold(name.padEnd(12))} ${text}\n`;
  const urls = listening.map(({ protocol, on, address, path }) =>
    address === null ? `unix:${path}` : urlOf(protocol, on as 'tcp' | 'tls' | 'udp', address),
  );
  const counts = Object.entries(protocols).map(([protocol, count]) => `${count} ${protocol}`);
  return [
    `${bold(`Portico ${portico}`)} runs as process ${pid}, for ${durationText(forMs)}, on Node ${node}.\n`,
    row('data', data === null ? 'in memory, gone when it stops' : data),
    row('listens on', urls.join('  ')),
    row('connections', `${connections}${counts.length === 0 ? '' : `: ${counts.join(', ')}`}; ${watching} watching`),
    row('topics', `${topics.published} taken, ${topics.delivered} delivered, ${topics.dropped} dropped`),
    row('', `${topics.retained} retained, ${topics.subscriptions} subscriptions, ${topics.durables} that last`),
    row('memory', `${Math.round(memory / 1_048_576)} MiB`),
    row('native', native === 'on' ? 'system calls by node:ffi' : `plain Node: ${native}`),
  ].join('');
}

function durationText(ms: number): string {
  const seconds = Math.floor(ms / 1_000);
  const parts = [
    Math.floor(seconds / 86_400),
    Math.floor(seconds / 3_600) % 24,
    Math.floor(seconds / 60) % 60,
    seconds % 60,
  ];
  const first = parts.findIndex((part) => part > 0);
  if (first < 0) return 'less than a second';
  const [part, next] = [parts[first]!, parts[first + 1] ?? 0];
  const units = ['d', 'h', 'min', 's'];
  return next === 0 ? `${part} ${units[first]}` : `${part} ${units[first]} ${next} ${units[first + 1]}`;
}
