// Structured logging as the parts see it; who writes it where is the server's choice.

export type LogFields = Readonly<Record<string, string | number | boolean | null>>;

export interface Log {
  debug(text: string, fields?: LogFields): void;
  info(text: string, fields?: LogFields): void;
  warn(text: string, fields?: LogFields): void;
  error(text: string, fields?: LogFields): void;
}

/** Keeps nothing: for tests and for use as a library. */
export const SILENT: Log = { debug() {}, info() {}, warn() {}, error() {} };
