// Calls of a client of portico.json: what it says for each, and what comes for it. Values are as JSON has them; the socket is
// the client's.
import type { Call, CallReceiver, Metadata } from '../../resources/services/contract.ts';
import type { Status } from '../../resources/services/status.ts';
import type { CallReply } from './replies.ts';
import { cancelText, finishText, sendText } from './requests.ts';

const NO_METADATA: Metadata = [];
/** Outputs that wait for the receiver; a socket that brings more is not read. */
const WAITING_MAX = 64;

/** What calls need of the socket. */
export interface CallSocket {
  say(text: Buffer): void;
  readonly room: number;
  /** Nothing more is read until each that held it back lets it go. */
  hold(): void;
  letGo(): void;
  callEnded(number: number): void;
}

export class ClientCall implements Call {
  private readonly socket: CallSocket;
  private readonly number: number;
  private readonly receiver: CallReceiver;
  private readonly waiting: unknown[] = [];
  private ending: { readonly status: Status; readonly trailers: Metadata } | null = null;
  private holds = false;
  private isOver = false;

  constructor(socket: CallSocket, number: number, receiver: CallReceiver) {
    this.socket = socket;
    this.number = number;
    this.receiver = receiver;
  }

  send(params: unknown): void {
    if (!this.isOver && this.ending === null) this.socket.say(sendText(this.number, params));
  }

  finish(): void {
    if (!this.isOver && this.ending === null) this.socket.say(finishText(this.number));
  }

  get room(): number {
    return this.socket.room > 0 ? 1 : 0;
  }

  more(): void {
    while (!this.isOver && this.waiting.length > 0 && this.receiver.room > 0)
      this.receiver.message(this.waiting.shift());
    if (this.holds && this.waiting.length <= WAITING_MAX >> 1) this.letGo();
    this.endWhenGiven();
  }

  cancel(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.waiting.length = 0;
    this.letGo();
    // Its number is kept until the server has said its end.
    if (this.ending === null) this.socket.say(cancelText(this.number));
  }

  /** The socket has room again. */
  writable(): void {
    if (!this.isOver && this.ending === null) this.receiver.writable();
  }

  came(reply: CallReply): void {
    if (reply.headers.length > 0 && !this.isOver) this.receiver.headers(reply.headers);
    if (reply.what === 'result' || reply.what === 'next') this.output(reply.value);
    if (reply.what === 'headers' || reply.what === 'next') return;
    this.socket.callEnded(this.number);
    this.end(reply.status, reply.trailers);
  }

  private output(value: unknown): void {
    if (this.isOver) return;
    if (this.waiting.length === 0 && this.receiver.room > 0) this.receiver.message(value);
    else {
      this.waiting.push(value);
      if (this.waiting.length < WAITING_MAX || this.holds) return;
      this.holds = true;
      this.socket.hold();
    }
  }

  /** How it ended, once all that came before has been given. */
  end(status: Status, trailers: Metadata = NO_METADATA): void {
    if (this.isOver || this.ending !== null) return;
    this.ending = { status, trailers };
    this.endWhenGiven();
  }

  private endWhenGiven(): void {
    if (this.isOver || this.ending === null || this.waiting.length > 0) return;
    this.isOver = true;
    this.letGo();
    this.receiver.end(this.ending.status, this.ending.trailers);
  }

  private letGo(): void {
    if (!this.holds) return;
    this.holds = false;
    this.socket.letGo();
  }
}
