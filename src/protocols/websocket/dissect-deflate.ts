// permessage-deflate as it is seen from outside (RFC 7692), one direction of it: what the messages say. Whether they build
// on those before is the two ends' agreement and need not be known: the last of what was read is kept for those that do.
import { inflatePiece } from '../../core/compress.ts';

/** As far back as deflate may refer (RFC 1951 §2). */
const WINDOW = 32_768;
/** A message is read up to so many bytes compressed, and so many decompressed. */
export const COMPRESSED_MAX = 65_536;
const INFLATED_MAX = 1_048_576;

/** What ends every flush, and is not sent (RFC 7692 §7.2.1). */
const TAIL = Buffer.of(0, 0, 0xff, 0xff);
const NOTHING = Buffer.alloc(0);

export class SeenDeflate {
  /** The end of what was read. */
  private window: Buffer = NOTHING;
  private pieces: Buffer[] = [];
  private length = 0;
  /** Of this message a part was too long to be kept. */
  private isTooLong = false;
  /** Of what was said before, something was not read. */
  private hasGap: boolean;

  constructor(joinedLate: boolean) {
    this.hasGap = joinedLate;
  }

  /** Bytes of the payload of one of its frames, in order. */
  add(payload: Buffer): void {
    this.length += payload.length;
    if (this.length > COMPRESSED_MAX) this.skip();
    else this.pieces.push(payload);
  }

  /** A frame is too long to be looked at. */
  skip(): void {
    this.isTooLong = true;
    this.pieces = [];
  }

  /** The message is complete: what it says, or why that cannot be known. */
  end(): Buffer | string {
    const compressed = Buffer.concat([...this.pieces, TAIL]);
    const { isTooLong, hasGap } = this;
    this.pieces = [];
    this.length = 0;
    this.isTooLong = false;
    const text = isTooLong ? null : inflatePiece(compressed, this.window, INFLATED_MAX);
    // After what was not read, those that refer to it cannot be read; those that do not, can.
    this.hasGap ||= text === null;
    this.window = text === null ? NOTHING : Buffer.from(Buffer.concat([this.window, text]).subarray(-WINDOW));
    if (text !== null) return text;
    if (isTooLong) return 'too long to be read';
    return hasGap ? 'builds on what was said before and was not read' : 'cannot be decompressed';
  }
}
