// A request that breaks the rules of this folder is answered with its fault as a problem.
import type { Exchange } from '../../core/exchange.ts';
import type { Fault } from '../../core/fault.ts';
import { Fields } from '../../core/fields.ts';
import { answerProblem } from '../http/answers.ts';

/** @param detail instead of the fault's own text: about this request */
export function refuse(exchange: Exchange, fault: Fault, fields = new Fields(), detail = fault.text): void {
  if (fault.wire === 503) fields.append('retry-after', '1');
  answerProblem(exchange, fault.wire, detail, fields);
}
