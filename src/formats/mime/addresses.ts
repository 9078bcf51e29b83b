// Lists of addresses in a header, with their names, groups, comments and obsolete forms (RFC 5322 §3.4, §4.4). It reads what
// mailers send, and leaves out what is no address.

export interface Address {
  /** The name beside it as it came: without quotes, encoded words as they are; `''` for none. */
  readonly name: string;
  /** Before the `@`, without quotes. */
  readonly local: string;
  /** Behind it; `''` where there is no `@`. */
  readonly domain: string;
}

/** `undisclosed-recipients:;` */
export interface Group {
  readonly group: string;
  readonly members: readonly Address[];
}

export type Listed = Address | Group;

/** A list has so many at most; the rest is not read. */
const ADDRESSES_MAX = 10_000;
const SPECIALS = '()<>[]:;@\\,"';

export function readAddresses(text: string): Listed[] {
  return new AddressReader(text).list();
}

/** All addresses of a list, those in groups among them. */
export function flatAddresses(listed: readonly Listed[]): Address[] {
  return listed.flatMap((item) => ('group' in item ? item.members : [item]));
}

class AddressReader {
  private readonly text: string;
  private at = 0;
  private count = 0;
  /** The last comment: the name of `ann@example.org (Ann)`. */
  private comment = '';

  constructor(text: string) {
    this.text = text;
  }

  list(): Listed[] {
    const found: Listed[] = [];
    while (this.more()) {
      const item = this.item();
      if (item !== null) found.push(item);
      // Whatever could not be understood ends with the comma.
      if (this.skip(',;')) this.at++;
    }
    return found;
  }

  private more(): boolean {
    return this.at < this.text.length && this.count < ADDRESSES_MAX;
  }

  /** Goes to one of `ends` outside of quotes and comments; false at the end of the text. */
  private skip(ends: string): boolean {
    for (;;) {
      this.blanks();
      if (this.at >= this.text.length) return false;
      const char = this.text[this.at]!;
      if (ends.includes(char)) return true;
      if (char === '"') this.quoted();
      else this.at++;
    }
  }

  private item(): Listed | null {
    this.comment = '';
    const words = this.words();
    const char = this.text[this.at];
    if (char === ':') {
      this.at++;
      return { group: phrase(words), members: this.members() };
    }
    return this.address(words);
  }

  private members(): Address[] {
    const found: Address[] = [];
    while (this.more()) {
      this.comment = '';
      const member = this.address(this.words());
      if (member !== null) found.push(member);
      if (!this.skip(',;')) break;
      const closed = this.text[this.at] === ';';
      if (closed) break;
      this.at++;
    }
    return found;
  }

  /** What follows the words that were read: `<a@b>`, `@b`, or nothing. */
  private address(words: readonly string[]): Address | null {
    const char = this.text[this.at];
    if (char === '<') {
      const name = phrase(words);
      this.at++;
      const [local, domain] = this.route();
      if (this.skip('>,;') && this.text[this.at] === '>') this.at++;
      this.blanks();
      return local === '' && domain === '' && name === '' ? null : this.made(name || this.comment, local, domain);
    }
    const local = words.join('');
    if (char === '@') {
      this.at++;
      const domain = this.domain();
      this.blanks();
      return this.made(this.comment, local, domain);
    }
    return local === '' ? null : this.made(words.length > 1 ? '' : this.comment, phrase(words), '');
  }

  private made(name: string, local: string, domain: string): Address {
    this.count++;
    return { name, local, domain };
  }

  /** Within angle brackets; a route of the old days is passed over (RFC 5322 §4.4). */
  private route(): [local: string, domain: string] {
    this.blanks();
    if (this.text[this.at] === '@') {
      const colon = this.text.indexOf(':', this.at);
      const close = this.text.indexOf('>', this.at);
      if (colon >= 0 && (close < 0 || colon < close)) this.at = colon + 1;
    }
    const local = this.words().join('');
    if (this.text[this.at] !== '@') return [local, ''];
    this.at++;
    return [local, this.domain()];
  }

  /** Atoms, dots and quoted strings, each one word. */
  private words(): string[] {
    const words: string[] = [];
    const { text } = this;
    for (;;) {
      this.blanks();
      if (this.at >= text.length) return words;
      const char = text[this.at]!;
      if (char === '"') {
        words.push(this.quoted());
        continue;
      }
      if (SPECIALS.includes(char)) return words;
      const from = this.at;
      while (
        this.at < text.length &&
        !SPECIALS.includes(text[this.at]!) &&
        text[this.at] !== ' ' &&
        text[this.at] !== '\t'
      )
        this.at++;
      words.push(text.slice(from, this.at));
    }
  }

  private domain(): string {
    const { text } = this;
    let domain = '';
    for (;;) {
      this.blanks();
      const char = text[this.at];
      if (char === '[') {
        const close = text.indexOf(']', this.at);
        const end = close < 0 ? text.length : close + 1;
        domain += text.slice(this.at, end);
        this.at = end;
      } else if (char === undefined || SPECIALS.includes(char)) return domain;
      else {
        const from = this.at;
        while (this.at < text.length && !SPECIALS.includes(text[this.at]!) && !' \t'.includes(text[this.at]!))
          this.at++;
        domain += text.slice(from, this.at);
      }
    }
  }

  private quoted(): string {
    const { text } = this;
    let value = '';
    for (this.at++; this.at < text.length; this.at++) {
      const char = text[this.at]!;
      if (char === '"') {
        this.at++;
        break;
      }
      if (char === '\\' && this.at + 1 < text.length) this.at++;
      value += text[this.at]!;
    }
    return value;
  }

  /** Blanks and comments, which nest. */
  private blanks(): void {
    const { text } = this;
    let depth = 0;
    let from = 0;
    for (; this.at < text.length; this.at++) {
      const char = text[this.at]!;
      if (char === '(') {
        if (depth++ === 0) from = this.at + 1;
      } else if (char === ')' && depth > 0) {
        if (--depth === 0) this.comment = text.slice(from, this.at).replace(/\\(.)/g, '$1').trim();
      } else if (char === '\\' && depth > 0) this.at++;
      else if (depth === 0 && char !== ' ' && char !== '\t' && char !== '\r' && char !== '\n') return;
    }
  }
}

/** A name of words; a dot that stands alone belongs to the word before it (RFC 5322 §4.1). */
function phrase(words: readonly string[]): string {
  return words.join(' ');
}

const ATOMS = /^[\w!#$%&'*+/=?^`{|}~\u0080-\u{10ffff}-]+(?:\.[\w!#$%&'*+/=?^`{|}~\u0080-\u{10ffff}-]+)*$/u;

/** `ann@example.org`, the local part in quotes where it must be. */
export function addressText({ local, domain }: Address): string {
  const first = ATOMS.test(local) ? local : `"${local.replace(/["\\]/g, '\\$&')}"`;
  return domain === '' ? first : `${first}@${domain}`;
}
