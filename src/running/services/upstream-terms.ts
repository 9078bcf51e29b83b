// What of a call goes on to the server that answers it: the metadata that follows a request through many servers, and how long there
// still is.
import type { CallTerms } from '../../resources/services/handler.ts';

/** Trace Context (W3C), and what proxies and logs know a request by. */
const FOLLOWS = ['traceparent', 'tracestate', 'x-request-id'];

const VALUE = /^[\x20-\x7e]{0,8192}$/;

export class Forwarding {
  private readonly names: ReadonlySet<string>;

  /** @param more names that go on beside those that always do */
  constructor(more: readonly string[]) {
    this.names = new Set([...FOLLOWS, ...more]);
  }

  /** Name, value, name, value. */
  metadataOf({ metadata }: CallTerms): string[] {
    const found: string[] = [];
    for (let at = 0; at + 1 < metadata.length; at += 2)
      if (this.names.has(metadata[at]!) && VALUE.test(metadata[at + 1]!)) found.push(metadata[at]!, metadata[at + 1]!);
    return found;
  }

  /** As fields of HTTP; what repeats is one, as HTTP joins it (RFC 9110 §5.3). */
  fieldsOf(call: CallTerms): Record<string, string> {
    const fields: Record<string, string> = {};
    const metadata = this.metadataOf(call);
    for (let at = 0; at < metadata.length; at += 2) {
      const name = metadata[at]!;
      fields[name] = name in fields ? `${fields[name]}, ${metadata[at + 1]!}` : metadata[at + 1]!;
    }
    return fields;
  }
}

/** How long there still is, in ms; Infinity where there is no end. */
export function msLeft({ deadline }: CallTerms): number {
  return Number.isFinite(deadline) ? Math.max(1, deadline - Date.now()) : Number.POSITIVE_INFINITY;
}
