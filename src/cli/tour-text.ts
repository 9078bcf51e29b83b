// The steps of the tour for people: about a screen each.
import { kernelText } from './kernel-text.ts';
import { blue, bold, cyan, dim, green, red, visible, yellow } from './output.ts';
import type { Arrival, PublishedStep, TourConnection, TourFrame, TourStep } from './tour-steps.ts';

/** Frames of one connection that are shown, and characters of each. */
const FRAMES_MOST = 10;
const SUMMARY_MOST = 96;
/** Characters of a line of names. */
const LINE_MOST = 100;

/** @param number the how manieth of `of` messages this is */
export function tourText(step: TourStep, number: number, of: number): string {
  switch (step.step) {
    case 'server':
      return serverText(step);
    case 'skipped':
      return `  ${yellow('left out')}    ${step.by}: ${step.why}\n`;
    case 'refused':
      return `  ${red('refused')}     ${step.by} could not ${step.what}: ${visible(step.why)}\n`;
    case 'subscribed':
      return subscribedText(step.by, step.connection);
    case 'published':
      return publishedText(step, number, of);
    case 'end':
      return endText(step.published, step.missing, step.refused);
  }
}

function serverText({ own, portico, native, filter }: Extract<TourStep, { step: 'server' }>): string {
  const where = own ? 'started for this tour: in memory, on loopback, gone when it ends' : 'which was running already';
  const lines = [
    bold('One message through every protocol'),
    '',
    `Portico ${portico}, ${where}. Its own inspector tells what is shown here, and`,
    'nothing is shown that it, the topics or the clients did not see.',
  ];
  if (native !== 'on') lines.push(`What the kernel says of connections is not known here: ${native}.`);
  lines.push('', `Everybody subscribes to ${bold(filter)} first:`, '');
  return `${lines.join('\n')}\n`;
}

function subscribedText(by: string, connection: TourConnection | null): string {
  if (connection === null) return `  ${green('subscribed')}  ${by.padEnd(8)} from a port of datagrams\n`;
  const { from, carrier, layers } = connection;
  const name = `#${connection.connection}`;
  return `  ${green('subscribed')}  ${by.padEnd(8)} ${name.padEnd(5)} ${from} over ${carrier}, speaking ${layers.join(', then ')}\n`;
}

function publishedText(step: PublishedStep, number: number, of: number): string {
  const { title, topic, payload, connection, datagrams, subscribers, reached, arrivals, acknowledgedMs, lost } = step;
  let text = `\n${bold(`${number} of ${of}  ${title}`)}\n`;
  const taken =
    acknowledgedMs === null ? 'this protocol acknowledges nothing' : `acknowledged after ${msOf(acknowledgedMs)}`;
  text += row('message', `${bold(`“${payload}”`)} to ${topic}; ${taken}`);
  if (connection !== null) text += connectionText(connection);
  else if (datagrams.length > 0) {
    text += row('carrier', `datagrams: no connection for the inspector; as this command's client saw them`);
    text += framesText(datagrams);
  }
  text += matchedText(step, subscribers.length);
  for (const { of: name, connection: id, frames, faults } of reached) {
    text += row('to', `${bold(name)} #${id}${arrivalText(arrivals.find(({ by }) => by === name))}`);
    text += framesText(frames) + faultsText(faults);
  }
  for (const arrival of arrivals)
    if (!reached.some(({ of: name }) => name === arrival.by))
      text += row('to', `${bold(arrival.by)}, a datagram${arrivalText(arrival)}`);
  if (lost > 0) text += row('', yellow(`${lost} events were not told: the inspector was too slow`));
  return text;
}

function connectionText({
  connection,
  from,
  to,
  carrier,
  layers,
  frames,
  faults,
  kernel,
  cause,
}: TourConnection): string {
  let text = row(carrier, `#${connection} from ${from} to ${to}${cause === '' ? '' : `; ${cause}`}`);
  if (kernel !== null) text += row('kernel', dim(kernelText(kernel)));
  text += row('spoken', layers.join(', then '));
  return text + framesText(frames) + faultsText(faults);
}

function matchedText({ subscribers }: PublishedStep, all: number): string {
  const got = subscribers.filter(({ reason }) => reason === 'delivered');
  const names = got.map(({ subscriber }) => visible(subscriber === '' ? '(no name)' : subscriber));
  let text = row('topics', `${got.length} of ${all} subscribers matched`);
  for (const line of wrapped(names)) text += row('', dim(line));
  for (const { subscriber, reason, detail } of subscribers)
    if (reason !== 'delivered' && reason !== 'no filter matches')
      text += row('', `${visible(subscriber)}: ${yellow(reason)} ${dim(visible(detail))}`);
  return text;
}

function arrivalText(arrival: Arrival | undefined): string {
  if (arrival === undefined) return '';
  return arrival.ms === null ? `: ${red('it did not arrive')}` : `: the client had it after ${green(msOf(arrival.ms))}`;
}

function framesText(frames: readonly TourFrame[]): string {
  const shown = frames.slice(0, FRAMES_MOST).map(({ ms, direction, protocol, size, summary }) => {
    const arrow = direction === 'in' ? cyan('→') : blue('←');
    const at = dim(msOf(ms).padStart(10));
    return `  ${at} ${arrow} ${dim(`${size} B`.padStart(7))} ${dim(protocol)} ${clipped(visible(summary))}\n`;
  });
  const more = frames.length - FRAMES_MOST;
  return `${shown.join('')}${more > 0 ? `             ${dim(`and ${more} more frames`)}\n` : ''}`;
}

function faultsText(faults: readonly string[]): string {
  return faults.map((fault) => row('fault', red(visible(fault)))).join('');
}

function endText(published: number, missing: number, refused: number): string {
  const no = refused === 0 ? '' : red(` ${refused} were refused.`);
  const how = missing === 0 ? green('all of them arrived everywhere') : red(`${missing} did not arrive`);
  return (
    `\n${published} messages; ${how}.${no} Watch your own: portico up, then portico watch.\n` +
    `${dim('→ what a client says, ← what the server says; times of frames count from when the publisher connected.')}\n`
  );
}

function row(name: string, text: string): string {
  return `  ${name.padEnd(8)} ${text}\n`;
}

function msOf(ms: number): string {
  return `${ms.toFixed(ms < 10 ? 2 : 0)} ms`;
}

function clipped(text: string): string {
  return text.length <= SUMMARY_MOST ? text : `${text.slice(0, SUMMARY_MOST - 1)}…`;
}

/** Names side by side, in lines of a terminal. */
function wrapped(names: readonly string[]): string[] {
  const lines: string[] = [];
  for (const name of names) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + name.length < LINE_MOST) lines[lines.length - 1] = `${last}, ${name}`;
    else lines.push(name);
  }
  return lines;
}
