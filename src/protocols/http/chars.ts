// Which bytes HTTP allows where, as tables, and the few text shapes that fields share.

const TCHAR = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/** 1 for the bytes of a token (RFC 9110 §5.6.2). */
export const TOKEN: Uint8Array = tableOf((byte) => TCHAR.includes(String.fromCharCode(byte)));

/**
 * 1 for the bytes of a field value: HTAB, SP, VCHAR and obs-text (RFC 9110 §5.5). Other controls are refused, since what
 * one recipient takes for a line end another does not.
 */
export const FIELD_VALUE: Uint8Array = tableOf((byte) => byte === 9 || (byte >= 0x20 && byte !== 0x7f));

/** 1 for the bytes of a target. Not only URIs: curl and others send UTF-8 as it was typed. No `#` (RFC 9112 §3.2). */
export const TARGET: Uint8Array = tableOf((byte) => byte > 0x20 && byte !== 0x7f && byte !== 0x23);

/** The value of a hexadecimal digit, 255 for others. */
export const HEX: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) => {
  const digit = '0123456789abcdef'.indexOf(String.fromCharCode(byte).toLowerCase());
  return digit < 0 || byte > 0x7f ? 255 : digit;
});

function tableOf(is: (byte: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => (is(byte) ? 1 : 0));
}

export function isToken(text: string): boolean {
  if (text.length === 0) return false;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code > 0x7f || TOKEN[code] === 0) return false;
  }
  return true;
}

/**
 * Whether text is `uri-host [ ":" port ]` (RFC 9110 §7.2, RFC 3986 §3.2.2): a registered name, an IPv4 address, or an
 * address in brackets. No userinfo.
 */
export function isAuthority(text: string): boolean {
  return /^(?:\[[0-9A-Fa-f:.]+\]|\[v[0-9A-Fa-f]+\.[\w.~!$&'()*+,;=:-]+\]|(?:[\w.~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(?::\d{0,5})?$/.test(
    text,
  );
}

/** Visits the members of a comma-separated list, without white space around them and without empty ones (RFC 9110 §5.6.1). */
export function eachMember(list: string, visit: (member: string) => void): void {
  for (const part of list.split(',')) {
    const member = part.trim();
    if (member !== '') visit(member);
  }
}
