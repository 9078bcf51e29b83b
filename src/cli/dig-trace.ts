// `portico dig +trace`: from the root down, each answer printed with who gave it, as dig does. It validates nothing.
import { NameBuffer, nameFrom, nameText, within } from '../formats/dns/name.ts';
import { TYPE } from '../formats/dns/records.ts';
import { Message } from '../protocols/dns/codec.ts';
import type { ServerPoint } from '../protocols/dns/resolver-servers.ts';
import { ROOT_SERVERS } from '../protocols/dns/root.ts';
import { type Asking, type Heard, writeQuestion } from './dig-ask.ts';
import type { DigPlan } from './dig-options.ts';
import { recordOf, recordText } from './dig-text.ts';

/** Zones between the root and a name. */
const STEPS_MAX = 40;

interface Named extends ServerPoint {
  readonly name: string;
}

export class Trace {
  private readonly asking: Asking;
  private readonly plan: DigPlan;
  private readonly points: readonly ServerPoint[];
  private readonly message = new Message();
  private readonly name = new NameBuffer();
  private readonly print: (text: string) => void;

  /** @param points whom to ask for the root's servers, and for the addresses of those that come without */
  constructor(asking: Asking, plan: DigPlan, points: readonly ServerPoint[], print: (text: string) => void) {
    this.asking = asking;
    this.plan = plan;
    this.points = points;
    this.print = print;
  }

  async run(): Promise<void> {
    let servers = await this.roots();
    let zone: Uint8Array = Uint8Array.of(0);
    for (let step = 0; step < STEPS_MAX; step++) {
      const heard = await this.asking.ask(servers, writeQuestion({ ...this.plan, recursion: false }), this.plan);
      this.read(heard);
      this.show(heard, servers);
      const below = this.referral(zone);
      if (below === null) return;
      zone = below;
      servers = await this.serversOf(zone);
      if (servers.length === 0) {
        this.print(`;; no address of a server of ${nameText(zone)} could be found\n`);
        return;
      }
    }
  }

  private read({ messages }: Heard): void {
    this.message.read(messages[0]!, 0, messages[0]!.length);
  }

  /** The root's servers as the first server knows them; where it does not, those that are known here. */
  private async roots(): Promise<Named[]> {
    const root = { ...this.plan, name: Uint8Array.of(0), type: TYPE.NS, recursion: true };
    try {
      const heard = await this.asking.ask(this.points, writeQuestion(root), root);
      this.read(heard);
      if (this.message.answers > 0) {
        this.show(heard, []);
        const found = await this.serversOf(root.name);
        if (found.length > 0) return found;
      }
    } catch {
      // Known ones will do.
    }
    return ROOT_SERVERS.flatMap(({ name, addresses }) =>
      addresses.slice(0, 1).map((host) => this.pointAt(host, nameText(name))),
    );
  }

  private pointAt(host: string, name: string): Named {
    return { host, port: this.plan.port ?? 53, carrier: this.plan.carrier, name };
  }

  private show({ messages, ms, point }: Heard, servers: readonly Named[]): void {
    const { message, plan } = this;
    let text = '';
    for (let index = 0; index < message.count; index++) {
      const section = message.sectionOf(index);
      if (section === 2 || (message.type[index] === TYPE.SOA && message.answers > 0)) continue;
      text += `${recordText(recordOf(message, index), plan.shown)}\n`;
    }
    const named = servers.find(({ host }) => host === point.host)?.name ?? point.host;
    const from = `${point.host}#${point.port}(${named.replace(/(.)\.$/, '$1')})`;
    this.print(`${text};; Received ${messages[0]!.length} bytes from ${from} in ${Math.round(ms)} ms\n\n`);
  }

  /** The zone to which the answer refers, below the one that was asked; null when it is an answer. */
  private referral(zone: Uint8Array): Uint8Array | null {
    const { message, name } = this;
    if (message.answers > 0 || message.rcode !== 0) return null;
    for (let index = 0; index < message.count; index++) {
      if (message.sectionOf(index) !== 1 || message.type[index] !== TYPE.NS || !message.readOwner(index, name))
        continue;
      const below = name.copy();
      if (below.length > zone.length && within(this.plan.name, 0, below) >= 0) return below;
    }
    return null;
  }

  /** The servers of a zone that the message names, by its glue or by asking. */
  private async serversOf(zone: Uint8Array): Promise<Named[]> {
    const { message } = this;
    const names: string[] = [];
    const glue: Named[] = [];
    for (let index = 0; index < message.count; index++) {
      const { owner, type, data } = recordOf(message, index);
      if (type === TYPE.NS && owner.toLowerCase() === nameText(zone).toLowerCase()) names.push(data.toLowerCase());
      if (type === TYPE.A && this.plan.family !== 6) glue.push(this.pointAt(data, owner.toLowerCase()));
      if (type === TYPE.AAAA && this.plan.family === 6) glue.push(this.pointAt(data, owner.toLowerCase()));
    }
    const known = glue.filter(({ name }) => names.includes(name));
    for (const name of known.length > 0 ? [] : names.slice(0, 4)) known.push(...(await this.addressesOf(name)));
    return known;
  }

  private async addressesOf(name: string): Promise<Named[]> {
    const type = this.plan.family === 6 ? TYPE.AAAA : TYPE.A;
    const plan = { ...this.plan, name: nameFrom(name)!, type, recursion: true };
    try {
      const heard = await this.asking.ask(this.points, writeQuestion(plan), plan);
      const message = new Message();
      message.read(heard.messages[0]!, 0, heard.messages[0]!.length);
      const found: Named[] = [];
      for (let index = 0; index < message.answers; index++)
        if (message.type[index] === type) found.push(this.pointAt(recordOf(message, index).data, name));
      return found;
    } catch {
      return [];
    }
  }
}
