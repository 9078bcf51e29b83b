// Topic names and filters: levels joined by `/`, `+` for one level, `#` for all that follow. Also in use by protocols that
// must refuse a bad one in their own words.

/** The most bytes of UTF-8 in a name or filter, as in every protocol that carries them ([MQTT-4.7.3-3]). */
export const TOPIC_BYTES_MAX = 65_535;

/** The most levels: each is a step in the tree of filters. */
export const LEVELS_MAX = 128;

/** Whether something can be published to it: not empty, no wildcard, no NUL, not too long, not too deep. */
export function isTopicName(name: string): boolean {
  if (name === lastName) return true;
  if (!isName(name)) return false;
  lastName = name;
  return true;
}

/** What was found to be one last: a publisher's next is often the same. */
let lastName = 'a';

function isName(name: string): boolean {
  if (name === '' || name.length > TOPIC_BYTES_MAX) return false;
  let levels = 1;
  for (let at = 0; at < name.length; at++) {
    const code = name.charCodeAt(at);
    if (code === 0x2b || code === 0x23 || code === 0) return false;
    if (code === 0x2f) levels++;
  }
  return levels <= LEVELS_MAX && (name.length * 3 <= TOPIC_BYTES_MAX || Buffer.byteLength(name) <= TOPIC_BYTES_MAX);
}

/** Whether it can be subscribed to: as a name, and `+` and `#` stand for whole levels, `#` only for the last. */
export function isTopicFilter(filter: string): boolean {
  if (filter === '' || Buffer.byteLength(filter) > TOPIC_BYTES_MAX || filter.includes('\0')) return false;
  const levels = filter.split('/');
  if (levels.length > LEVELS_MAX) return false;
  return levels.every((level, index) => {
    if (level === '#') return index === levels.length - 1;
    return level === '+' || (!level.includes('+') && !level.includes('#'));
  });
}

const APART = /^(?:\$|(?:accounts|connections)(?:\/|$))/;

/**
 * Whether a name, or its first level, is none that a leading wildcard matches: what begins with `$` ([MQTT-4.7.2-1]), and what
 * is told to administrators alone. Their `#` would hear of its own connection, and a bridge's carry it elsewhere.
 */
export function isApart(name: string): boolean {
  const first = name.charCodeAt(0);
  return (first === 0x24 || first === 0x61 || first === 0x63) && APART.test(name);
}

/** Whether a filter matches a name. */
export function matches(filter: string, name: string): boolean {
  if ((filter.startsWith('+') || filter.startsWith('#')) && isApart(name)) return false;
  const wanted = filter.split('/');
  const levels = name.split('/');
  for (let index = 0; index < wanted.length; index++) {
    if (wanted[index] === '#') return true;
    if (index >= levels.length || (wanted[index] !== '+' && wanted[index] !== levels[index])) return false;
  }
  return wanted.length === levels.length;
}

/** Topics that the server itself publishes: clients may subscribe to them but not publish. */
const RESERVED = ['$SYS/', 'files/', 'mail/', 'names/', 'rooms/', 'accounts/', 'connections/'];
const FIRST_LETTERS = new Set(RESERVED.map((prefix) => prefix.charCodeAt(0)));

/** Whether a topic belongs to the server. Any other that begins with `$` is nobody's, and the server's as well. */
export function isReserved(name: string): boolean {
  // Asked for each publish: most names are told apart by their first letter.
  if (!FIRST_LETTERS.has(name.charCodeAt(0))) return false;
  return name.startsWith('$') || RESERVED.some((prefix) => name.startsWith(prefix) || name === prefix.slice(0, -1));
}

/** Of MQTT, before and from 5.0: every message has room for these two, since growing costs more. */
export const MQTT_SLOTS = { earlier: 0, five: 1 } as const;

let slots = 2;

/** A slot in `Message.frames`, for one encoding. Asked for once, when a protocol's module loads. */
export function frameSlot(): number {
  return slots++;
}
