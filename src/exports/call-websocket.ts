// Calls over `portico.json` (docs/portico-json.md): all on one WebSocket.
import { type CarrierOptions, failure, type JsonCarrier, takesMany } from './call-carrier.ts';
import { connectTopics } from './websocket.ts';

/** @param url `ws://[user[:password]@]host[:port]`, or `wss:`; the path is `/ws` unless said */
export async function webSocketCarrier(url: string, options: CarrierOptions = {}): Promise<JsonCarrier> {
  const { user, password = '', token, tls } = options;
  const authorization =
    token !== undefined
      ? `Bearer ${token}`
      : user === undefined
        ? null
        : `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  const connection = await connectTopics(url, {
    ...(authorization === null ? {} : { headers: { authorization } }),
    ...(tls === undefined ? {} : { tls }),
  });
  return {
    begin(service, method, { kind, metadata, timeoutMs }, receiver) {
      const name = `${service}.${method}`;
      const begun = (params: unknown) => connection.call(name, params, { metadata, timeoutMs }, receiver);
      if (takesMany(kind)) return begun(undefined) ?? gone(receiver);
      // With the input in the call itself there is one message less.
      return new OneInput(begun, () => gone(receiver), kind === null);
    },
    close: () => connection.close(),
  };
}

type Ends = Parameters<JsonCarrier['begin']>[3];
type Made = ReturnType<JsonCarrier['begin']>;

function gone(receiver: Ends): Made {
  queueMicrotask(() => receiver.end(failure('UNAVAILABLE', 'the connection is gone'), []));
  return { send() {}, finish() {}, room: 1, more() {}, cancel() {} };
}

class OneInput implements Made {
  private readonly begin: (params: unknown) => Made | null;
  private readonly gone: () => Made;
  /** The method may be one that takes many: it is told that there are no more. */
  private readonly finishes: boolean;
  private call: Made | null = null;
  private isOver = false;

  constructor(begin: (params: unknown) => Made | null, gone: () => Made, finishes: boolean) {
    this.begin = begin;
    this.gone = gone;
    this.finishes = finishes;
  }

  send(value: unknown): void {
    if (this.isOver || this.call !== null) return;
    this.call = this.begin(value ?? {}) ?? this.gone();
  }

  finish(): void {
    if (this.finishes) this.call?.finish();
  }

  get room(): number {
    return this.call === null ? 1 : 0;
  }

  more(): void {
    this.call?.more();
  }

  cancel(): void {
    this.isOver = true;
    this.call?.cancel();
  }
}
