// An OpenAPI document as text, read: JSON, or YAML, which most are written in.

/** The document is not one, or not one that can be used. */
export class DocumentError extends Error {}

/** Aliases that are followed: each may stand for all that was before it. */
const ALIASES_MAX = 1_000;

/** What the text says. Rejects with a `DocumentError` that says where it is wrong. */
export async function readDocument(text: string): Promise<unknown> {
  try {
    return JSON.parse(text);
  } catch {
    // Loaded by those alone who need it.
    const { parse } = await import('yaml');
    try {
      return parse(text, { maxAliasCount: ALIASES_MAX, logLevel: 'error' });
    } catch (error) {
      throw new DocumentError(`the document is neither JSON nor YAML: ${(error as Error).message.split('\n')[0]}`);
    }
  }
}

/** Where the paths of a document lie: its first server, or where it came from. */
export function baseOf(document: unknown, at: string): string {
  const { servers } = (document ?? {}) as { servers?: { url?: unknown }[] };
  const given = Array.isArray(servers) && typeof servers[0]?.url === 'string' ? servers[0].url : '/';
  return new URL(given, at).href.replace(/\/$/, '');
}
