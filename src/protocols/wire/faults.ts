// How a peer of the wire listeners can go wrong: only by being silent, since any bytes are lawful.
import { faultTable } from '../../core/fault.ts';

export const faults = faultTable('wire', {
  idle: { wire: 0, spec: 'docs/lines.md §Wire', text: 'Nothing was sent either way for too long.' },
});
