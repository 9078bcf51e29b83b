// What a recipient and a message are answered, by outcome: reply code, enhanced code (RFC 3463) and words.
import {
  BUSY,
  DENIED,
  EXISTS,
  FAILED,
  FULL,
  GONE,
  INVALID,
  LATE,
  MISSING,
  OK,
  type OutcomeTable,
  STALE,
  UNKNOWN,
  UNSUPPORTED,
} from '../../core/outcome.ts';

type Answer = readonly [code: number, text: string];

export const RECIPIENT: OutcomeTable<Answer> = {
  [OK]: [250, '2.1.5 Taken.'],
  [DENIED]: [550, '5.7.1 Mail to that domain is not taken here.'],
  [UNKNOWN]: [550, '5.7.1 Mail to that domain is not taken here from those who have not signed in.'],
  [MISSING]: [550, '5.1.1 There is no such mailbox.'],
  [EXISTS]: [451, '4.3.0 That could not be done.'],
  [INVALID]: [553, '5.1.3 That is no address.'],
  [STALE]: [451, '4.3.0 That could not be done: try again.'],
  [FULL]: [452, '4.2.2 The mailbox is full.'],
  [BUSY]: [451, '4.3.2 Too much to do: try again.'],
  [LATE]: [451, '4.4.7 That took too long: try again.'],
  [GONE]: [451, '4.3.2 The server is going away: try again.'],
  [UNSUPPORTED]: [550, '5.3.3 That is not done here.'],
  [FAILED]: [451, '4.3.0 The store failed: try again.'],
};

export const MESSAGE: OutcomeTable<Answer> = {
  ...RECIPIENT,
  [OK]: [250, '2.0.0 It is on the disk.'],
  [MISSING]: [550, '5.1.1 A mailbox went meanwhile.'],
  [FULL]: [452, '4.3.1 There is no room for it.'],
  [INVALID]: [554, '5.6.0 The message cannot be taken.'],
  [DENIED]: [550, '5.7.1 That may not be sent.'],
};
