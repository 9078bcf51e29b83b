// Names as GraphQL may have them (§2.1.9), and which of two that want the same name gets what: nobody the short one.

/** A name with what GraphQL does not allow replaced; two underscores in front are introspection's. */
export function validName(name: string): string {
  const made = name.replace(/[^_0-9A-Za-z]/g, '_');
  return /^(?:\d|__|$)/.test(made) ? `x${made}` : made;
}

export function capital(name: string): string {
  return name.slice(0, 1).toUpperCase() + name.slice(1);
}

export function small(name: string): string {
  return name.slice(0, 1).toLowerCase() + name.slice(1);
}

/** `shop.v1.Order` is `Order`, `shop.v1.Order.Item` is `OrderItem`: the package is what begins with small letters. */
export function shortName(full: string): string {
  const parts = full.split('.');
  const from = parts.findIndex((part) => /^[A-Z]/.test(part));
  return validName(parts.slice(from < 0 ? parts.length - 1 : from).join(''));
}

/** `shop.v1.Order` is `shop_v1_Order`. */
export function longName(full: string): string {
  return validName(full.replaceAll('.', '_'));
}

/** A name that no other has: with a number behind it where need be. */
export function distinct(name: string, taken: { has(name: string): boolean }): string {
  let made = name;
  for (let number = 2; taken.has(made); number++) made = `${name}_${number}`;
  return made;
}

/** Names that several may want: whoever is not alone in that gets the long one, so that no order decides. */
export class ContestedNames {
  private readonly wanted = new Map<string, Set<string>>();
  private readonly reserved: ReadonlySet<string>;

  constructor(reserved: Iterable<string>) {
    this.reserved = new Set(reserved);
  }

  want(short: string, long: string): void {
    const owners = this.wanted.get(short);
    if (owners === undefined) this.wanted.set(short, new Set([long]));
    else owners.add(long);
  }

  nameOf(short: string, long: string): string {
    return this.reserved.has(short) || this.wanted.get(short)!.size > 1 ? long : short;
  }
}
