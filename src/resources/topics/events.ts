// Events of the other resources, as topics below their names: JSON, under the permissions of what they tell of.
import type { Publication } from './contract.ts';

/** What the server itself publishes with; see `OpenTopics.announce`. */
export interface Announcer {
  announce(publication: Publication): void;
}

/** Tells of something that happened; `retain` where a last value makes sense. */
export function announceEvent(topics: Announcer, topic: string, event: unknown, retain = false): void {
  const payload = Buffer.from(JSON.stringify(event));
  topics.announce({ topic, payload, contentType: 'application/json', text: true, retain, assurance: 1 });
}
