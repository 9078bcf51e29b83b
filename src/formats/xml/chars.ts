// The characters of XML 1.0 by their bytes, and text as it is written into a document.

/** In text: go on. */
export const PLAIN = 0;
/** In text: look closer. `&`, `<`, `]`, CR and the first byte of what may be no character. */
export const LOOK = 1;
/** No character (XML 1.0 §2.2). */
export const NONE = 2;
/** LF and tab: as they are in text, a space in attributes. */
export const BLANK = 3;

export const IN_TEXT = new Uint8Array(256);
for (let byte = 0; byte < 0x20; byte++) IN_TEXT[byte] = NONE;
IN_TEXT[0x09] = BLANK;
IN_TEXT[0x0a] = BLANK;
for (const byte of [0x0d, 0x26, 0x3c, 0x5d, 0xef]) IN_TEXT[byte] = LOOK;

/** Ends a name: white space, `/ > = < & " ' ? !` and the controls. A colon is looked at beside it. */
export const ENDS_NAME = new Uint8Array(256);
for (let byte = 0; byte <= 0x20; byte++) ENDS_NAME[byte] = 1;
for (const byte of Buffer.from('/>=<&"\'?!')) ENDS_NAME[byte] = 1;

export function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

/** A code point that a document may have (XML 1.0 §2.2). */
export function isCharacter(point: number): boolean {
  if (point < 0x20) return point === 0x09 || point === 0x0a || point === 0x0d;
  return point <= 0xd7ff || (point >= 0xe000 && point <= 0xfffd) || (point >= 0x10000 && point <= 0x10ffff);
}

/** What no document can have, however it is written: controls, halves of surrogate pairs, U+FFFE and U+FFFF. */
const UNWRITABLE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

export function isWritable(text: string): boolean {
  return !UNWRITABLE.test(text);
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\r': '&#13;',
  '\n': '&#10;',
  '\t': '&#9;',
};

/** Text as character data. A carriage return would be read as a line feed (XML 1.0 §2.11). */
export function escapeText(text: string): string {
  return /[&<>\r]/.test(text) ? text.replace(/[&<>\r]/g, (char) => ESCAPES[char]!) : text;
}

/** Text as the value of an attribute in double quotes. */
export function escapeAttribute(text: string): string {
  return /[&<>"\r\n\t]/.test(text) ? text.replace(/[&<>"\r\n\t]/g, (char) => ESCAPES[char]!) : text;
}

/** The XML declaration (XML 1.0 §2.8), and the encoding that it names. */
export const DECLARATION =
  /^<\?xml\s+version\s*=\s*(?:"1\.\d+"|'1\.\d+')(?:\s+encoding\s*=\s*(?:"([A-Za-z][\w.-]*)"|'([A-Za-z][\w.-]*)'))?(?:\s+standalone\s*=\s*(?:"(?:yes|no)"|'(?:yes|no)'))?\s*\?>/;

const ENTITIES: Readonly<Record<string, number>> = Object.assign(Object.create(null) as Record<string, number>, {
  amp: 0x26,
  lt: 0x3c,
  gt: 0x3e,
  quot: 0x22,
  apos: 0x27,
});

/** The code point that `&name;` stands for (XML 1.0 §4.1, §4.6). */
export function referenced(name: string): number | undefined {
  const entity = ENTITIES[name];
  if (entity !== undefined) return entity;
  if (/^#\d{1,15}$/.test(name)) return Number(name.slice(1));
  if (/^#x[\da-fA-F]{1,12}$/.test(name)) return Number.parseInt(name.slice(2), 16);
  return undefined;
}
