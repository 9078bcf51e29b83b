// Names that are not to be resolved, from lists as they are published: one name a line, hosts files, or `||name^`. A name blocks what
// lies below it, unless an exception stands nearer. It answers nothing itself.
import { nameFrom } from '../../formats/dns/name.ts';
import { keyOf, parentKey } from '../../formats/dnssec/names.ts';

const ADDRESS = /^(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f:]*:[0-9a-f:.]*)$/i;

/** Of hosts files: names of this machine, not to be blocked by such a list. */
const OWN = new Set(['localhost', 'localhost.localdomain', 'local', 'broadcasthost', 'ip6-localhost', 'ip6-loopback']);

export class BlockList {
  private readonly blocked = new Set<string>();
  private readonly allowed = new Set<string>();

  /** How many names block. */
  get size(): number {
    return this.blocked.size;
  }

  /** Adds the names of a list; answers how many lines were none. */
  add(text: string): number {
    let wrong = 0;
    for (const raw of text.split('\n')) {
      const line = raw.replace(/(?:^|\s)[#!].*$/, '').trim();
      if (line !== '' && !this.addLine(line)) wrong++;
    }
    return wrong;
  }

  private addLine(line: string): boolean {
    const filter = /^(@@)?\|\|([^/^$*]+)\^$/.exec(line);
    if (filter !== null) return this.put(filter[2]!, filter[1] !== undefined);
    const words = line.split(/\s+/);
    if (words.length > 1 && ADDRESS.test(words[0]!)) {
      return words.slice(1).every((word) => OWN.has(word) || this.put(word, false));
    }
    return words.length === 1 && this.put(words[0]!.replace(/^\*\./, ''), false);
  }

  private put(text: string, allows: boolean): boolean {
    const name = nameFrom(text.endsWith('.') ? text : `${text}.`);
    // The root would block everything: nobody means that.
    if (name === null || name.length === 1 || ADDRESS.test(text)) return false;
    (allows ? this.allowed : this.blocked).add(keyOf(name));
    return true;
  }

  blocks(key: string): boolean {
    if (this.blocked.size === 0) return false;
    for (let at = key; at !== ''; at = parentKey(at)) {
      if (this.allowed.has(at)) return false;
      if (this.blocked.has(at)) return true;
    }
    return false;
  }
}
