// Calls that run: what came is checked and given to the handler, what it answers is checked and given to the receiver, and
// whatever ends a call ends it once. A handler that answers at once costs no promise.
import type { Caller } from '../../core/caller.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import { Turned } from '../../core/turn.ts';
import type { Check } from '../../formats/schema/check.ts';
import type { Violation } from '../../formats/schema/types.ts';
import type { Call, CallOptions, CallReceiver, Metadata, Method } from './contract.ts';
import type { Handled, Refine, Refined } from './define.ts';
import type { BothHandler, ClientHandler, HandlerCall, ServerHandler, UnaryHandler } from './handler.ts';
import { Inputs } from './inputs.ts';
import { type CodeName, invalidStatus, ServiceError, STATUS_OK, type Status } from './status.ts';

/** A method with what runs it. */
export interface Entry extends Handled {
  readonly method: Method;
  /** `shop.v1.Orders/GetOrder`, as rules name it. */
  readonly name: string;
  readonly checkInput: Check;
  readonly checkOutput: Check;
  /** How many ended how, also before the service was last loaded. */
  readonly ends: Record<CodeName, number>;
}

/** What calls need of the registry. */
export interface Runner {
  readonly inputsMax: number;
  /** The call has ended. */
  ended(call: RunningCall): void;
  /** The call has ended and its handler as well. */
  settled(call: RunningCall): void;
  /** Whether a call may go on after the rules have changed. */
  mayGoOn(call: RunningCall): Status | null;
  /** Of the rules. */
  readonly epochOfRules: () => number;
  statusOf(error: unknown, entry: Entry): Status;
  /** What a handler answered is not what it said. */
  wrongOutput(entry: Entry, violations: readonly Violation[]): Status;
  bug(error: unknown): void;
}

/** How many calls a caller has. */
export interface Share {
  readonly key: string;
  calls: number;
  /** It is looked at when the turn ends: who has no calls is forgotten. */
  isIdle: boolean;
}

const LATE: Status = { code: 'DEADLINE_EXCEEDED', message: 'the deadline has passed', details: [] };
export const LEAVING: Status = { code: 'UNAVAILABLE', message: 'the server is going away', details: [] };
const CANCELLED: Status = { code: 'CANCELLED', message: 'the caller is gone', details: [] };
const NO_INPUT = invalid('there is no input');
const TOO_FAST: Status = {
  code: 'RESOURCE_EXHAUSTED',
  message: 'there are more inputs than there is room for',
  details: [],
};
const TWO_INPUTS = invalid('there is more than one input');

function invalid(message: string): Status {
  return { code: 'INVALID_ARGUMENT', message, details: [] };
}

function errorOf({ code, message, details }: Status): ServiceError {
  return new ServiceError(code === 'OK' ? 'CANCELLED' : code, message, details);
}

export abstract class RunningCall extends Turned implements Call, HandlerCall {
  readonly entry: Entry;
  readonly caller: Caller;
  readonly metadata: Metadata;
  readonly share: Share;
  due: Instant;
  readonly deadline: number;
  /** It is among those that outlived their first turn. */
  isKept = false;
  isOver = false;
  /** The rules under which it was last found to be allowed. */
  rulesEpoch: number;
  protected readonly receiver: CallReceiver;
  protected readonly runner: Runner;
  /** The handler, or zod, is at work. */
  protected working = false;
  private outputs: Outputs | null = null;
  private controller: AbortController | null = null;
  private headersSent = false;
  private trailers: Metadata = [];
  private isLeaving = false;

  constructor(runner: Runner, entry: Entry, options: CallOptions, receiver: CallReceiver, clock: Clock, share: Share) {
    super();
    this.runner = runner;
    this.entry = entry;
    this.caller = options.caller;
    this.metadata = options.metadata;
    this.receiver = receiver;
    this.share = share;
    this.rulesEpoch = runner.epochOfRules();
    const ms = Math.min(options.timeoutMs, entry.method.deadlineMs);
    this.due = clock.now + ms;
    this.deadline = clock.wall + ms;
  }

  abstract readonly room: number;
  abstract send(value: unknown): void;
  abstract finish(): void;

  get signal(): AbortSignal {
    if (this.controller === null) {
      this.controller = new AbortController();
      if (this.isOver) this.controller.abort(errorOf(CANCELLED));
    }
    return this.controller.signal;
  }

  sendHeaders(metadata: Metadata): void {
    if (this.headersSent) throw new Error('the headers of this call are sent already');
    this.headersSent = true;
    if (!this.isOver) this.receiver.headers(metadata);
  }

  setTrailers(metadata: Metadata): void {
    this.trailers = metadata;
  }

  cancel(): void {
    if (this.isOver) return;
    this.over(CANCELLED);
  }

  /** Ends it, once. */
  end(status: Status): void {
    if (this.isOver) return;
    this.over(status);
    this.receiver.end(status, this.trailers);
  }

  /** The server goes away: it has until `due` to end. */
  leave(due: Instant): void {
    this.isLeaving = true;
    this.due = Math.min(this.due, due);
  }

  work(): void {}

  tick(clock: Clock): void {
    if (clock.now >= this.due) this.end(this.isLeaving ? LEAVING : LATE);
  }

  private over(status: Status): void {
    this.isOver = true;
    this.entry.ends[status.code]++;
    this.due = NEVER;
    this.runner.ended(this);
    this.dropped(status);
    if (status.code !== 'OK') this.controller?.abort(errorOf(status));
    if (this.outputs !== null) this.outputs.stop(() => this.rest());
    else if (!this.working) this.runner.settled(this);
  }

  /** What waits for the caller waits no more. */
  protected dropped(_reason: Status): void {}

  more(): void {
    this.outputs?.more();
  }

  /** What worked for this call does no more. */
  protected rest(): void {
    if (!this.working) return;
    this.working = false;
    if (this.isOver) this.runner.settled(this);
  }

  /** Checks an input. Null when it is wrong, and the call over. */
  protected taken(value: unknown): { readonly value: unknown } | null {
    const violations: Violation[] = [];
    const taken = this.entry.checkInput(value, violations);
    if (violations.length === 0) return { value: taken };
    this.end(invalidStatus(violations));
    return null;
  }

  /** What zod made of an input; the call is over when it found something wrong. */
  protected accept({ value, violations }: Refined): { readonly value: unknown } | null {
    if (violations.length === 0) return { value };
    this.end(invalidStatus(violations));
    return null;
  }

  protected failed(error: unknown): void {
    if (!this.isOver) this.end(this.runner.statusOf(error, this.entry));
  }

  /** The handler threw, and is at rest with that. */
  protected threw(error: unknown): void {
    this.rest();
    this.failed(error);
  }

  /** Gives one output on. False when the call is over instead. */
  protected deliver(value: unknown): boolean {
    if (this.rulesEpoch !== this.runner.epochOfRules()) {
      const refusal = this.runner.mayGoOn(this);
      if (refusal !== null) {
        this.end(refusal);
        return false;
      }
    }
    const violations: Violation[] = [];
    const taken = this.entry.checkOutput(value, violations);
    if (violations.length > 0) {
      this.end(this.runner.wrongOutput(this.entry, violations));
      return false;
    }
    this.headersSent = true;
    this.receiver.message(taken);
    return !this.isOver;
  }

  /** As `deliver`, once zod has looked; `then` is told whether the call goes on. */
  protected deliverRefined(refine: Refine, value: unknown, then: (goesOn: boolean) => void): void {
    const refined = (result: Refined) => {
      if (!this.isOver && result.violations.length > 0)
        this.end(this.runner.wrongOutput(this.entry, result.violations));
      then(!this.isOver && this.deliver(result.value));
    };
    try {
      const result = refine(value);
      if (result instanceof Promise) result.then(guarded(this.runner, refined), (error) => this.failed(error));
      else refined(result);
    } catch (error) {
      this.failed(error);
    }
  }

  /** Runs a handler with one output. */
  protected answerOne(handle: () => unknown): void {
    this.working = true;
    let answer: unknown;
    try {
      answer = handle();
    } catch (error) {
      this.threw(error);
      return;
    }
    if (isPromise(answer))
      answer.then(
        guarded(this.runner, (value) => this.answered(value)),
        guarded(this.runner, (error) => this.threw(error)),
      );
    else this.answered(answer);
  }

  private answered(value: unknown): void {
    this.rest();
    if (this.isOver) return;
    const { refineOutput } = this.entry;
    const done = (goesOn: boolean) => {
      if (goesOn) this.end(STATUS_OK);
    };
    if (refineOutput === null) done(this.deliver(value));
    else this.deliverRefined(refineOutput, value, done);
  }

  /** Runs a handler with many outputs. */
  protected answerMany(handle: () => AsyncIterable<unknown>): void {
    this.working = true;
    try {
      this.outputs = new Outputs(this, this.runner);
      this.outputs.begin(handle());
    } catch (error) {
      this.outputs = null;
      this.threw(error);
    }
  }

  get outputRoom(): number {
    return this.receiver.room;
  }

  /** One result of a handler with many outputs. */
  output(result: IteratorResult<unknown>): void {
    // Over already: `stop` waits for its end.
    if (this.isOver) return;
    if (result.done === true) {
      this.outputs = null;
      this.rest();
      this.end(STATUS_OK);
      return;
    }
    const next = (goesOn: boolean) => {
      if (goesOn) this.outputs?.ask();
    };
    const { refineOutput } = this.entry;
    if (refineOutput === null) next(this.deliver(result.value));
    else this.deliverRefined(refineOutput, result.value, next);
  }

  outputFailed(error: unknown): void {
    this.outputs = null;
    this.threw(error);
  }
}

function isPromise(value: unknown): value is Promise<unknown> {
  return (
    value instanceof Promise ||
    (typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function')
  );
}

/** A promise's answer must not throw: there is nobody above to catch it. */
function guarded<Value>(runner: Runner, step: (value: Value) => void): (value: Value) => void {
  return (value) => {
    try {
      step(value);
    } catch (error) {
      runner.bug(error);
    }
  };
}

/** `unary` and `server`. */
export class OneInputCall extends RunningCall {
  private input: { readonly value: unknown } | null = null;
  private isFinished = false;

  get room(): number {
    return this.input === null ? 1 : 0;
  }

  send(value: unknown): void {
    if (this.isOver || this.isFinished) return;
    if (this.input === null) this.input = this.taken(value);
    else this.end(TWO_INPUTS);
  }

  finish(): void {
    if (this.isOver || this.isFinished) return;
    this.isFinished = true;
    const { input } = this;
    const { refineInput } = this.entry;
    if (input === null) this.end(NO_INPUT);
    else if (refineInput === null) this.run(input.value);
    else this.refine(refineInput, input.value);
  }

  /** zod looks at it as well. */
  private refine(refine: Refine, input: unknown): void {
    this.working = true;
    const refined = (result: Refined) => {
      this.rest();
      const taken = this.isOver ? null : this.accept(result);
      if (taken !== null) this.run(taken.value);
    };
    try {
      const result = refine(input);
      if (result instanceof Promise) result.then(guarded(this.runner, refined), (error) => this.threw(error));
      else refined(result);
    } catch (error) {
      this.threw(error);
    }
  }

  private run(input: unknown): void {
    const { method, handler } = this.entry;
    if (method.kind === 'unary') this.answerOne(() => (handler as UnaryHandler<unknown, unknown>)(input, this));
    else this.answerMany(() => (handler as ServerHandler<unknown, unknown>)(input, this));
  }
}

/** `client` and `both`: the handler begins before the first input has come. */
export class ManyInputsCall extends RunningCall {
  private readonly inputs: Inputs<unknown> = new Inputs(this.runner.inputsMax, () => {
    if (!this.isOver) this.receiver.writable();
  });

  get room(): number {
    return this.inputs.room;
  }

  begin(): void {
    if (this.isOver) return;
    const { method, handler } = this.entry;
    if (method.kind === 'client') this.answerOne(() => (handler as ClientHandler<unknown, unknown>)(this.inputs, this));
    else this.answerMany(() => (handler as BothHandler<unknown, unknown>)(this.inputs, this));
  }

  send(value: unknown): void {
    if (this.isOver || this.inputs.isOver) return;
    if (this.inputs.isFull) {
      this.end(TOO_FAST);
      return;
    }
    const taken = this.taken(value);
    if (taken === null) return;
    const { refineInput } = this.entry;
    if (refineInput === null) this.inputs.put(taken.value);
    else this.refine(refineInput, taken.value);
  }

  private refine(refine: Refine, input: unknown): void {
    try {
      const result = refine(input);
      if (result instanceof Promise) {
        this.inputs.put(result.then((refined) => this.refined(refined)));
        return;
      }
      const accepted = this.accept(result);
      if (accepted !== null) this.inputs.put(accepted.value);
    } catch (error) {
      this.failed(error);
    }
  }

  finish(): void {
    this.inputs.finish();
  }

  private refined(result: Refined): unknown {
    const accepted = this.isOver ? null : this.accept(result);
    if (accepted === null) throw errorOf(CANCELLED);
    return accepted.value;
  }

  protected override dropped(reason: Status): void {
    this.inputs.fail(() => errorOf(reason));
  }
}

/** The outputs of a handler that answers many, asked for one at a time and only while there is room. */
class Outputs {
  private readonly call: RunningCall;
  private readonly runner: Runner;
  private iterator: AsyncIterator<unknown> | null = null;
  private asking = false;
  private waiting = false;
  private readonly came: (result: IteratorResult<unknown>) => void;
  private readonly threw: (error: unknown) => void;

  constructor(call: RunningCall, runner: Runner) {
    this.call = call;
    this.runner = runner;
    this.came = guarded(runner, (result: IteratorResult<unknown>) => {
      this.asking = false;
      this.call.output(result);
    });
    this.threw = guarded(runner, (error) => {
      this.asking = false;
      if (this.iterator !== null) this.call.outputFailed(error);
    });
  }

  begin(iterable: AsyncIterable<unknown>): void {
    this.iterator = iterable[Symbol.asyncIterator]();
    this.ask();
  }

  ask(): void {
    if (this.iterator === null || this.asking) return;
    if (this.call.outputRoom <= 0) {
      this.waiting = true;
      return;
    }
    this.asking = true;
    try {
      this.iterator.next().then(this.came, this.threw);
    } catch (error) {
      this.threw(error);
    }
  }

  more(): void {
    if (!this.waiting) return;
    this.waiting = false;
    this.ask();
  }

  /** The handler is told to stop; `stopped` once it has. */
  stop(stopped: () => void): void {
    const { iterator } = this;
    this.iterator = null;
    if (iterator?.return === undefined) {
      stopped();
      return;
    }
    const end = guarded(this.runner, stopped);
    try {
      iterator.return().then(end, end);
    } catch {
      stopped();
    }
  }
}
