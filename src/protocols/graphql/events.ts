// Events of GraphQL over SSE: with an id where one stream carries many operations, without where it is of one alone.

/** Browsers are told so at once that the stream is open; and later that it still is. */
export const SILENCE = ':\n\n';

/** `result` is the JSON of an answer, which has no line breaks. */
export function nextEvent(id: string | null, result: string): string {
  return id === null
    ? `event: next\ndata: ${result}\n\n`
    : `event: next\ndata: {"id":${JSON.stringify(id)},"payload":${result}}\n\n`;
}

export function completeEvent(id: string | null): string {
  return id === null ? 'event: complete\ndata:\n\n' : `event: complete\ndata: {"id":${JSON.stringify(id)}}\n\n`;
}
