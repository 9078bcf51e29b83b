// The events of the messages that come, one behind the other in memory that all streams share: those that get the same
// messages in the same order are given the same bytes, in one piece, and none of them copies anything.
import type { Enveloped } from '../../formats/envelope.ts';
import { eventFrame, type Mode } from './encode.ts';

/** Events are gathered in pieces of this size, about as much as leaves in one write. */
const PIECE = 65_536;

/** Longer events stand alone. */
const ALONE = PIECE / 8;

/** One for each way of writing messages. */
export class Lane<Message extends Enveloped & { readonly frames: (Uint8Array | undefined)[] }> {
  /** The last message, and where its event is. What is written in `bytes` never changes. */
  message: Message | null = null;
  bytes: Uint8Array = NOTHING;
  start = 0;
  end = 0;
  private readonly mode: Mode;
  private readonly slot: number;
  private piece = NOTHING;
  private used = 0;

  /** @param slot where events are kept with their messages, for streams that get them at another time */
  constructor(mode: Mode, slot: number) {
    this.mode = mode;
    this.slot = slot;
  }

  /** Makes this message the last. */
  add(message: Message): void {
    const frame = (message.frames[this.slot] ??= eventFrame(message, this.mode, 'live'));
    const { length } = frame;
    this.message = message;
    if (length > ALONE) {
      this.bytes = frame;
      this.start = 0;
      this.end = length;
      return;
    }
    if (this.used + length > this.piece.length) {
      this.piece = Buffer.allocUnsafeSlow(PIECE);
      this.used = 0;
    }
    this.piece.set(frame, this.used);
    this.bytes = this.piece;
    this.start = this.used;
    this.used += length;
    this.end = this.used;
  }
}

const NOTHING = Buffer.alloc(0);
