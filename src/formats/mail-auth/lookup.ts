// What the checks of mail ask of DNS, through whoever gives them the means.

export interface DnsFound {
  /** `nothing`: the name is there, with no such record; `failed`: it is not known now. */
  readonly kind: 'data' | 'nothing' | 'missing' | 'failed';
  /** An address; a name; `10 mail.example.org`; the whole text, one character an octet. */
  readonly values: readonly string[];
}

/** Never rejects. */
export type DnsFind = (name: string, type: 'A' | 'AAAA' | 'MX' | 'TXT' | 'PTR') => Promise<DnsFound>;
