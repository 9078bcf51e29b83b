// Many messages as one body: NDJSON, one JSON object a line, or one JSON list of the same objects.

export const NDJSON = 'application/x-ndjson';
export const JSON_TYPE = 'application/json';

export class Page {
  readonly type: string;
  /** Messages, without gaps. */
  count = 0;
  /** About how long the body is. */
  bytes = 0;
  private readonly lines: string[] = [];

  constructor(type: string) {
    this.type = type;
  }

  get isEmpty(): boolean {
    return this.lines.length === 0;
  }

  /** One message, as JSON. */
  add(line: string): void {
    this.count++;
    this.addGap(line);
  }

  addGap(line: string): void {
    this.bytes += line.length + 2;
    this.lines.push(line);
  }

  body(): Buffer {
    const { lines } = this;
    if (this.type === JSON_TYPE) return Buffer.from(`[${lines.join(',\n')}]\n`);
    return Buffer.from(lines.length === 0 ? '' : `${lines.join('\n')}\n`);
  }
}
