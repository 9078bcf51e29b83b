// Retained topics as TXT: `7.devices.topics.<zone>` is the topic `devices/7`, its value in base64 (docs/mapping.md). It knows
// names and bytes, not the topics.
import { labelCount } from '../../formats/dns/name.ts';

const TOPICS = Buffer.from('topics');
/** Character-strings of one answer: what is longer is not asked for by DNS. */
const OCTETS_MAX = 60_000;

/**
 * The topic that a name below `topics.<zone>` stands for, its levels in lower case but for what is written as `%XX`; '' for
 * `topics.<zone>` itself; null for any other name.
 */
export function topicUnder(name: Uint8Array, zone: Uint8Array): string | null {
  const extra = labelCount(name) - labelCount(zone) - 1;
  if (extra < 0) return null;
  let at = 0;
  for (let label = 0; label < extra; label++) at += name[at]! + 1;
  if (!isTopics(name, at)) return null;
  let topic = '';
  at = 0;
  for (let label = 0; label < extra; label++) {
    const level = levelOf(name, at + 1, at + 1 + name[at]!);
    if (level === null) return '';
    topic = label === 0 ? level : `${level}/${topic}`;
    at += name[at]! + 1;
  }
  return topic;
}

function isTopics(name: Uint8Array, at: number): boolean {
  if (name[at] !== TOPICS.length) return false;
  for (let index = 0; index < TOPICS.length; index++)
    if ((name[at + 1 + index]! | 0x20) !== TOPICS[index]) return false;
  return true;
}

function levelOf(name: Uint8Array, at: number, end: number): string | null {
  const text = Buffer.from(name.subarray(at, end)).toString('latin1').toLowerCase();
  const octets = text.replace(/%([\da-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  const level = Buffer.from(octets, 'latin1').toString('utf8');
  return level.includes('\ufffd') || level.includes('/') ? null : level;
}

/** A value as TXT data: base64 in character-strings. */
export function topicStrings(payload: Uint8Array): Uint8Array {
  const text = Buffer.from(Buffer.from(payload).toString('base64'));
  if (text.length === 0) return Uint8Array.of(0);
  if (text.length > OCTETS_MAX) return topicStrings(payload.subarray(0, 0));
  const parts: Uint8Array[] = [];
  for (let at = 0; at < text.length; at += 255) {
    const part = text.subarray(at, at + 255);
    parts.push(Uint8Array.of(part.length), part);
  }
  return Buffer.concat(parts);
}
