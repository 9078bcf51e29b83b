// Every way in which a peer can break these protocols so that its socket is closed. The wire code is the close code; the
// clauses are those of docs/portico-json.md.
import { faultTable } from '../../core/fault.ts';

export const faults = faultTable('messages', {
  notJson: { wire: 1007, spec: 'docs/portico-json.md §Errors', text: 'this is not JSON' },
  binary: { wire: 1003, spec: 'docs/portico-json.md §Errors', text: 'portico.json is spoken in text frames' },
  tooLong: { wire: 1009, spec: 'docs/portico-json.md §Limits', text: 'the message is too long' },
  tooSlow: { wire: 1013, spec: 'docs/portico-json.md §Slow subscribers', text: 'messages were not taken fast enough' },
  gap: { wire: 4000, spec: 'docs/portico-json.md §Bare topics', text: 'the history is not there any more' },
});

/** What a client finds in what a server says. */
export const replyFaults = faultTable('messages', {
  badReply: {
    wire: 1007,
    spec: 'docs/portico-json.md §What the server says',
    text: 'this is not a message of portico.json',
  },
  unasked: {
    wire: 1008,
    spec: 'docs/portico-json.md §What the server says',
    text: 'an answer came to what was not asked',
  },
});
