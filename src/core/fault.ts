// Faults: each way in which a peer can break a protocol, with a name, the code on the wire and the clause it breaks. They
// are frozen, returned rather than thrown, and compared by identity.

export interface Fault {
  /** `protocol.name`, for logs and metrics. */
  readonly id: string;
  /** The protocol's own code for it: a reason code, a status, an error number. 0 where the wire has none. */
  readonly wire: number;
  /** The clause that the peer broke. */
  readonly spec: string;
  /** One sentence for a person. */
  readonly text: string;
  readonly scope: 'stream' | 'connection';
}

export type Faults = Readonly<Record<string, Fault>>;

/** A row of a protocol's `faults.ts`: everything but the id; the scope is the connection unless said. */
export interface FaultRow {
  readonly wire: number;
  readonly spec: string;
  readonly text: string;
  readonly scope?: Fault['scope'];
}

/** Names and freezes a protocol's faults. */
export function faultTable<const Row extends Record<string, FaultRow>>(
  protocol: string,
  rows: Row,
): { readonly [Name in keyof Row]: Fault } {
  const table: Record<string, Fault> = {};
  for (const [name, row] of Object.entries(rows))
    table[name] = Object.freeze({ scope: 'connection' as const, ...row, id: `${protocol}.${name}` });
  return Object.freeze(table) as { readonly [Name in keyof Row]: Fault };
}
