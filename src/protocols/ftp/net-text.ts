// TYPE A: lines end with CR LF on the wire and with LF in a file (RFC 959 §3.1.1.1). A lone carriage return is kept as it is.

const CR = 0x0d;
const LF = 0x0a;

/** Where converted bytes go; fewer taken than given means that there is no room. */
export interface TextTarget {
  write(input: Uint8Array, start: number, end: number): number;
}

export class NetText {
  /** The last byte was a carriage return: sent, or held until it is known what follows. */
  afterCr = false;

  /** Bytes of a file as they travel; the answer is new. */
  encode(data: Uint8Array, start: number, end: number): Uint8Array {
    let extra = 0;
    let last = this.afterCr ? CR : 0;
    for (let at = start; at < end; at++) {
      if (data[at] === LF && last !== CR) extra++;
      last = data[at]!;
    }
    const lines = new Uint8Array(end - start + extra);
    let size = 0;
    last = this.afterCr ? CR : 0;
    for (let at = start; at < end; at++) {
      const byte = data[at]!;
      if (byte === LF && last !== CR) lines[size++] = CR;
      lines[size++] = byte;
      last = byte;
    }
    this.afterCr = last === CR;
    return lines;
  }

  /** A carriage return that nothing followed. */
  flush(target: TextTarget): boolean {
    if (!this.afterCr) return true;
    this.afterCr = false;
    return target.write(Uint8Array.of(CR), 0, 1) === 1;
  }
}

const ONE_CR = Uint8Array.of(CR);

/** Gives bytes of the wire to a file; answers how many of them were taken. */
export function fromNetText(text: NetText, target: TextTarget, input: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end) {
    if (text.afterCr) {
      // CR LF is a line's end; a CR before anything else is itself.
      if (input[at] !== LF && target.write(ONE_CR, 0, 1) === 0) break;
      text.afterCr = false;
    }
    let to = at;
    while (to < end && input[to] !== CR) to++;
    if (to > at) {
      const taken = target.write(input, at, to);
      at += taken;
      if (at < to) break;
    }
    if (at < end) {
      text.afterCr = true;
      at++;
    }
  }
  return at - start;
}
