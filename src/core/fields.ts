// Header and trailer fields: an ordered list of names and values, found without regard to case (RFC 9110 §5.1).

export class Fields {
  /** Name, value, name, value; names in lower case. */
  readonly list: string[] = [];
  /** They stay as they are: what was worked out of them may be kept. */
  isFixed = false;

  static of(fields: Readonly<Record<string, string>>): Fields {
    const made = new Fields();
    for (const [name, value] of Object.entries(fields)) made.append(name, value);
    return made;
  }

  append(name: string, value: string): this {
    this.list.push(name.toLowerCase(), value);
    return this;
  }

  set(name: string, value: string): this {
    this.delete(name);
    return this.append(name, value);
  }

  delete(name: string): void {
    const { list } = this;
    name = name.toLowerCase();
    for (let at = list.length - 2; at >= 0; at -= 2) if (list[at] === name) list.splice(at, 2);
  }

  /** From here on, changing them throws. */
  fix(): this {
    Object.freeze(this.list);
    this.isFixed = true;
    return this;
  }

  /** The first value, or null. `name` is in lower case. */
  get(name: string): string | null {
    const { list } = this;
    for (let at = 0; at < list.length; at += 2) if (list[at] === name) return list[at + 1]!;
    return null;
  }

  /** All values joined as one list (RFC 9110 §5.3), or null. */
  joined(name: string): string | null {
    const { list } = this;
    let found: string | null = null;
    for (let at = 0; at < list.length; at += 2)
      if (list[at] === name) found = found === null ? list[at + 1]! : `${found}, ${list[at + 1]!}`;
    return found;
  }

  has(name: string): boolean {
    return this.get(name) !== null;
  }

  *[Symbol.iterator](): Generator<readonly [string, string]> {
    for (let at = 0; at < this.list.length; at += 2) yield [this.list[at]!, this.list[at + 1]!];
  }
}

/** Shared where there are none. Never written to. */
export const NO_FIELDS: Fields = Object.freeze(new Fields());
Object.freeze(NO_FIELDS.list);
