// Problem details for HTTP (RFC 9457): how every error of the HTTP ports is told to programs.

export const PROBLEM_TYPE = 'application/problem+json';

export interface Problem {
  readonly status: number;
  /** The same for every occurrence of this kind of problem. */
  readonly title: string;
  /** About this occurrence, and what to do. */
  readonly detail?: string;
  /** Members of the problem's own (§3.2). */
  readonly extensions?: Readonly<Record<string, unknown>>;
}

/** The problem as its JSON; the type is `about:blank`, so the status says what kind it is (§4.2.1). */
export function problemJson({ status, title, detail, extensions }: Problem): string {
  return `${JSON.stringify({ type: 'about:blank', title, status, ...(detail === undefined ? {} : { detail }), ...extensions })}\n`;
}
