// PROPFIND and PROPPATCH (RFC 4918 §9.1, §9.2). A folder is answered page by page, however many names it has.
import type { Exchange } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import { OK, type Outcome } from '../../core/outcome.ts';
import { NEVER } from '../../core/time.ts';
import { escapeText } from '../../formats/xml/chars.ts';
import type { FileFacts } from '../../resources/files/contract.ts';
import { answerFileOutcome, during, refuse, type Waiting } from '../files/server-answers.ts';
import { answerBytes } from '../http/answers.ts';
import { childOf, DAV, type Element, elementsOf, emptyElement, nameOf, writeElement } from './codec.ts';
import { faults } from './faults.ts';
import type { DavHost } from './server.ts';
import { hrefOf, isProtected, responseOf, type Wanted } from './server-properties.ts';

const HEAD = '<?xml version="1.0" encoding="utf-8"?>\n<D:multistatus xmlns:D="DAV:">\n';
const TAIL = '</D:multistatus>\n';
const XML = { 'content-type': 'application/xml; charset=utf-8', 'cache-control': 'no-cache' };
const PAGE = 256;

export type Depth = 0 | 1 | 'infinity';

/** What a body asks for; null when it is something else. */
export function wantedOf(body: Element | null): Wanted | null {
  if (body === null) return { kind: 'all', include: [] };
  if (body.uri !== DAV || body.local !== 'propfind') return null;
  const some = childOf(body, 'prop');
  if (some !== null) return { kind: 'some', names: elementsOf(some).map(nameOf) };
  if (childOf(body, 'propname') !== null) return { kind: 'names' };
  if (childOf(body, 'allprop') === null) return null;
  const include = childOf(body, 'include');
  return { kind: 'all', include: include === null ? [] : elementsOf(include).map(nameOf) };
}

export function answerPropfind(exchange: Exchange, host: DavHost, path: string, wanted: Wanted, depth: Depth): void {
  const files = host.resources.files!;
  during(exchange, host, async (waiting) => {
    const facts = await files.stat(exchange.caller, path);
    if (waiting.isOver) return;
    if (typeof facts === 'number') {
      answerFileOutcome(exchange, facts, files, path);
      return;
    }
    if (depth === 'infinity' && facts.folder) {
      const all = await below(host, exchange, path);
      if (waiting.isOver) return;
      if (typeof all === 'number') answerFileOutcome(exchange, all, files, path);
      else if (all === null) answerTooDeep(exchange);
      else await new Answer(exchange, host, wanted, waiting).pages([[facts], all]);
      return;
    }
    const answer = new Answer(exchange, host, wanted, waiting);
    if (depth === 0 || !facts.folder) await answer.pages([[facts]]);
    else await answer.folder(facts);
  });
}

/** All that is below a folder; null for more than there may be. */
async function below(host: DavHost, exchange: Exchange, path: string): Promise<FileFacts[] | Outcome | null> {
  const all: FileFacts[] = [];
  const { deepEntriesMax } = host.limits;
  const outcome = await host.resources.files!.search(exchange.caller, path, '', (facts) => {
    all.push(facts);
    return all.length <= deepEntriesMax;
  });
  return outcome !== OK ? outcome : all.length > deepEntriesMax ? null : all;
}

function answerTooDeep(exchange: Exchange): void {
  const body = `<?xml version="1.0" encoding="utf-8"?>\n<D:error xmlns:D="DAV:"><D:propfind-finite-depth/></D:error>\n`;
  answerBytes(exchange, faults.tooDeep.wire, Fields.of(XML), Buffer.from(body));
}

/** A multistatus on its way, as fast as the client takes it. */
class Answer {
  private readonly exchange: Exchange;
  private readonly host: DavHost;
  private readonly wanted: Wanted;
  private readonly waiting: Waiting;
  private roomy: (() => void) | null = null;

  constructor(exchange: Exchange, host: DavHost, wanted: Wanted, waiting: Waiting) {
    this.exchange = exchange;
    this.host = host;
    this.wanted = wanted;
    this.waiting = waiting;
    exchange.deadline = NEVER;
    const wake = () => {
      const { roomy } = this;
      this.roomy = null;
      roomy?.();
    };
    exchange.on = {
      writable: wake,
      tick() {},
      leave() {},
      lost() {
        waiting.isOver = true;
        wake();
      },
    };
    exchange.respond(207, Fields.of(XML));
    this.put(HEAD);
  }

  async pages(pages: readonly (readonly FileFacts[])[]): Promise<void> {
    for (const page of pages)
      for (let at = 0; at < page.length; at += PAGE) if (!(await this.page(page.slice(at, at + PAGE)))) return;
    this.end();
  }

  async folder(facts: FileFacts): Promise<void> {
    if (!(await this.page([facts]))) return;
    const { caller } = this.exchange;
    const folder = await this.host.resources.files!.openFolder(caller, facts.path);
    if (typeof folder === 'object') {
      for (;;) {
        const page = await folder.next(PAGE);
        if (page.length === 0 || !(await this.page(page))) break;
      }
      folder.close();
    }
    this.end();
  }

  /** False when the client is gone. */
  private async page(page: readonly FileFacts[]): Promise<boolean> {
    const { exchange, host, wanted, waiting } = this;
    while (!waiting.isOver && exchange.room <= 0) {
      await new Promise<void>((resolve) => {
        this.roomy = resolve;
      });
    }
    if (waiting.isOver) return false;
    const files = host.resources.files!;
    const { wall } = host.clock;
    const parts = await Promise.all(page.map((facts) => responseOf(files, exchange.caller, facts, wanted, wall)));
    if (waiting.isOver) return false;
    this.put(parts.join(''));
    return true;
  }

  private put(text: string): void {
    const bytes = Buffer.from(text);
    this.exchange.share(bytes, 0, bytes.length);
    this.exchange.flush();
  }

  private end(): void {
    if (this.waiting.isOver) return;
    this.put(TAIL);
    this.exchange.end();
    this.exchange.flush();
  }
}

/** Applies a `propertyupdate` as a whole or not at all (RFC 4918 §9.2). */
export function takeProppatch(
  exchange: Exchange,
  host: DavHost,
  path: string,
  body: Element | null,
  locks: readonly string[],
  check: () => Promise<Outcome>,
): void {
  if (body === null || body.uri !== DAV || body.local !== 'propertyupdate') {
    refuse(exchange, faults.badBody);
    return;
  }
  const files = host.resources.files!;
  during(exchange, host, async (waiting) => {
    const facts = await files.stat(exchange.caller, path);
    const changes: Record<string, string | null> = {};
    const refused: string[] = [];
    for (const step of elementsOf(body)) {
      const prop = step.uri === DAV && (step.local === 'set' || step.local === 'remove') ? childOf(step, 'prop') : null;
      if (prop === null) continue;
      for (const element of elementsOf(prop)) {
        const name = nameOf(element);
        if (isProtected(name) || name.startsWith('{urn:portico')) refused.push(name);
        else changes[name] = step.local === 'set' ? writeElement(element) : null;
      }
    }
    let outcome: Outcome = typeof facts === 'number' ? facts : await check();
    if (outcome === OK && refused.length === 0)
      outcome = await files.setProperties(exchange.caller, (facts as FileFacts).path, changes, { locks });
    if (waiting.isOver) return;
    if (typeof facts === 'number' || outcome !== OK) answerFileOutcome(exchange, outcome, files, path);
    else answerPatched(exchange, facts, Object.keys(changes), refused);
  });
}

function answerPatched(
  exchange: Exchange,
  facts: FileFacts,
  done: readonly string[],
  refused: readonly string[],
): void {
  const stat = (names: readonly string[], status: string, error = '') =>
    names.length === 0
      ? ''
      : `<D:propstat><D:prop>${names.map(emptyElement).join('')}</D:prop><D:status>HTTP/1.1 ${status}</D:status>${error}</D:propstat>`;
  const protectedError = '<D:error><D:cannot-modify-protected-property/></D:error>';
  const stats =
    refused.length === 0
      ? stat(done, '200 OK')
      : stat(refused, '403 Forbidden', protectedError) + stat(done, '424 Failed Dependency');
  const href = escapeText(hrefOf(facts));
  const body = `${HEAD}<D:response><D:href>${href}</D:href>${stats}</D:response>\n${TAIL}`;
  answerBytes(exchange, 207, Fields.of(XML), Buffer.from(body));
}
