// Every way in which a session can be ended by what came in it. `wire` is the code of its close, or of the stream's reset.
import { faultTable } from '../../core/fault.ts';

export const faults = faultTable('webtransport', {
  messageTooBig: {
    wire: 1009,
    spec: 'docs/webtransport.md',
    text: 'the message is longer than is taken here',
    scope: 'stream',
  },
  tooMuchHeld: {
    wire: 1013,
    spec: 'docs/webtransport.md',
    text: 'too many messages are on their way here: try again later',
    scope: 'stream',
  },
  notText: { wire: 1007, spec: 'docs/webtransport.md', text: 'the text is not UTF-8', scope: 'stream' },
  noStreams: {
    wire: 1003,
    spec: 'docs/webtransport.md',
    text: 'streams of this kind mean nothing here',
    scope: 'stream',
  },
});
