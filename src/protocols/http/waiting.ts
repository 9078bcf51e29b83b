// A request whose sender is not known yet: its body is left unread until it is, and whoever goes away meanwhile is not
// answered. It does not know what is waited for.
import type { Exchange, ExchangeEvents } from '../../core/exchange.ts';
import { answerProblem } from './answers.ts';

const NO_EVENTS: ExchangeEvents = { writable() {}, tick() {}, leave() {}, lost() {} };

/** Holds a request; answers how to go on with it, once, which does nothing when it is gone. */
export function hold(exchange: Exchange): (step: () => void) => void {
  let isOver = false;
  exchange.pause();
  exchange.on = {
    ...NO_EVENTS,
    leave() {
      if (isOver) return;
      isOver = true;
      answerProblem(exchange, 503, 'The server is shutting down.');
      exchange.resume();
    },
    lost() {
      isOver = true;
    },
  };
  return (step) => {
    if (isOver) return;
    isOver = true;
    exchange.on = NO_EVENTS;
    step();
    exchange.resume();
  };
}
