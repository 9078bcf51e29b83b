// The list in Sec-WebSocket-Extensions (RFC 6455 §9.1): names with parameters.

export interface Extension {
  readonly name: string;
  /** In order; null for a parameter without a value. */
  readonly parameters: readonly (readonly [name: string, value: string | null])[];
}

/** More are not looked at: the list is as long as a head may be. */
const EXTENSIONS_MAX = 32;

const TOKEN = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/y;
const QUOTED = /"((?:[^"\\]|\\.)*)"/y;
const SPACE = /[ \t]*/y;

/** Reads one field from left to right. */
class Scanner {
  private readonly text: string;
  private at = 0;

  constructor(text: string) {
    this.text = text;
    this.space();
  }

  get isAtEnd(): boolean {
    return this.at === this.text.length;
  }

  token(): string | null {
    const found = this.match(TOKEN);
    return found === null ? null : found[0];
  }

  /** A quoted value must be a token when its quotes are off. */
  value(): string | null {
    const quoted = this.match(QUOTED);
    if (quoted === null) return this.token();
    const value = quoted[1]!.replace(/\\(.)/g, '$1');
    TOKEN.lastIndex = 0;
    return TOKEN.exec(value)?.[0] === value ? value : null;
  }

  takes(mark: string): boolean {
    if (this.text[this.at] !== mark) return false;
    this.at++;
    this.space();
    return true;
  }

  private space(): void {
    SPACE.lastIndex = this.at;
    this.at += SPACE.exec(this.text)![0].length;
  }

  private match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found === null) return null;
    this.at += found[0].length;
    this.space();
    return found;
  }
}

/** The extensions of a field, or null when it is not such a list. */
export function readExtensions(text: string): Extension[] | null {
  const scanner = new Scanner(text);
  const found: Extension[] = [];
  do {
    // Lists may have empty elements (RFC 9110 §5.6.1.2).
    while (scanner.takes(','));
    if (scanner.isAtEnd) break;
    const name = scanner.token();
    if (name === null || found.length === EXTENSIONS_MAX) return null;
    const parameters: [string, string | null][] = [];
    while (scanner.takes(';')) {
      const parameter = scanner.token();
      if (parameter === null) return null;
      const value = scanner.takes('=') ? scanner.value() : '';
      if (value === null) return null;
      parameters.push([parameter, value === '' ? null : value]);
    }
    found.push({ name, parameters });
  } while (scanner.takes(','));
  return scanner.isAtEnd ? found : null;
}
