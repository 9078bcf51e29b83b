// The names of accounts and groups, and passwords, as they are compared: a subset of UsernameCaseMapped and OpaqueString
// (RFC 8265). It does not know which names are taken.

/** Characters of a name. */
export const NAME_MAX = 64;

/** Bytes of a password in UTF-8: what is hashed is bounded. */
export const PASSWORD_BYTES_MAX = 1_024;

/** Characters of a new password. */
export const PASSWORD_MIN = 8;

/** Names that mean something else in rules and in the audit. */
const RESERVED = new Set(['anonymous', 'everyone', 'nobody', 'portico', 'server', 'self', 'account']);

/** Letters of one script, so that no name looks like another: `раураl` in Cyrillic letters is not `paypal`. */
const SCRIPTS = [
  String.raw`\p{Script=Latin}`,
  String.raw`\p{Script=Greek}`,
  String.raw`\p{Script=Cyrillic}`,
  String.raw`\p{Script=Armenian}`,
  String.raw`\p{Script=Georgian}`,
  String.raw`\p{Script=Devanagari}`,
  String.raw`\p{Script=Thai}`,
  String.raw`\p{Script=Hangul}`,
  String.raw`\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}ー`,
].map((letters) => new RegExp(`^[${letters}0-9](?:[${letters}\\p{Mn}0-9._@+-]*[${letters}\\p{Mn}0-9])?$`, 'u'));

/** Only this stands in nearly all names, and it is as prepared as it will be. */
const PLAIN = /^[a-z0-9](?:[a-z0-9._@+-]*[a-z0-9])?$/;

/**
 * A name as it is stored and compared: fullwidth forms become plain, letters become small, all of it NFC (RFC 8265 §3.3).
 * Null when it is no name: 1 to 64 letters of one script, digits and `. _ - + @` between them, one `@` at most.
 */
export function preparedName(given: string): string | null {
  if (given.length > NAME_MAX * 2) return null;
  const name = PLAIN.test(given) ? given : mapped(given);
  if (name.length === 0 || name.length > NAME_MAX || name.indexOf('@') !== name.lastIndexOf('@')) return null;
  if (PLAIN.test(name)) return name;
  // What is a form of other characters, as ligatures and roman numerals are, is in no name (RFC 8264 §9.17).
  return name.normalize('NFKC') === name && SCRIPTS.some((script) => script.test(name)) ? name : null;
}

function mapped(given: string): string {
  const plain = given.replace(/[\uff01-\uff5e]/g, (wide) => String.fromCharCode(wide.charCodeAt(0) - 0xfee0));
  return plain.toLowerCase().normalize('NFC');
}

/** What is wrong with the name of a new account, as text; null for nothing. */
export function nameProblem(given: string): string | null {
  const name = preparedName(given);
  if (name === null)
    return `${JSON.stringify(given)} is no name: 1 to ${NAME_MAX} letters of one script, digits, and . _ - + @ between them`;
  return RESERVED.has(name) ? `${name} is a name that rules use; choose another` : null;
}

/**
 * A password as it is hashed: spaces of other scripts become U+0020, all of it NFC (RFC 8265 §4.2). Null when it is empty,
 * too long or has a control character.
 */
export function preparedPassword(given: string): string | null {
  if (given.length === 0 || given.length > PASSWORD_BYTES_MAX) return null;
  const prepared = given.replace(/\p{Zs}/gu, ' ').normalize('NFC');
  if (/\p{Cc}/u.test(prepared) || Buffer.byteLength(prepared) > PASSWORD_BYTES_MAX) return null;
  return prepared;
}

/** What is wrong with a new password of an account, as text; null for nothing. */
export function passwordProblem(given: string, account: string): string | null {
  const prepared = preparedPassword(given);
  if (prepared === null)
    return `a password is 1 to ${PASSWORD_BYTES_MAX} bytes without control characters; this one is not`;
  if ([...prepared].length < PASSWORD_MIN) return `the password is shorter than ${PASSWORD_MIN} characters`;
  return prepared.toLowerCase() === account ? 'the password is the name of the account' : null;
}
