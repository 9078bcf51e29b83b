// What a client reads in replies of SMTP: enhanced codes (RFC 2034, RFC 3463) and the extensions behind EHLO.
import type { Extensions, SmtpReply } from './client-terms.ts';

export function codeClass(code: number): number {
  return Math.floor(code / 100);
}

/** The enhanced code stands at the beginning of each line, and is of the code's own class (RFC 2034 §4). */
export function replyOf(code: number, lines: readonly string[]): SmtpReply {
  const first = /^([245])\.\d{1,3}\.\d{1,3}(?= |$)/.exec(lines[0] ?? '');
  const enhanced = first !== null && Number(first[1]) === codeClass(code) ? first[0] : '';
  const texts = lines.map((line) =>
    enhanced !== '' && line.startsWith(enhanced) ? line.slice(enhanced.length).trimStart() : line,
  );
  return { code, enhanced, text: texts.join('\n') };
}

/** What follows the first line of the answer to EHLO. */
export function extensionsOf(lines: readonly string[]): Extensions {
  const found = new Map<string, string>();
  for (const line of lines.slice(1)) {
    // `AUTH=PLAIN` is how some said it before there was a standard.
    const parts = /^([A-Za-z0-9][A-Za-z0-9-]*)(?:[ =](.*))?$/.exec(line.trim());
    const name = parts?.[1]?.toUpperCase();
    if (name !== undefined && !(name === 'AUTH' && found.has(name))) found.set(name, (parts?.[2] ?? '').trim());
  }
  return found;
}

/** Whether an address can stand in a path: a line's end or a bracket in it would say something else. */
export function isPath(address: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is refused
  if (address.length > 512 || /[\x00-\x1f\x7f]/.test(address)) return false;
  return !/[ <>]/.test(address.replace(/"(?:[^"\\]|\\.)*"/g, ''));
}
