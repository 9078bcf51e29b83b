// A request of GraphQL (GraphQL over HTTP §5): a document, which operation of it, variables, extensions; out of JSON or out of a
// query's parameters.

export interface GraphqlRequest {
  /** Null where the document is named by its hash or id. */
  readonly query: string | null;
  readonly operationName: string | null;
  readonly variables: Readonly<Record<string, unknown>> | null;
  readonly extensions: Readonly<Record<string, unknown>> | null;
  readonly documentId: string | null;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What JSON gave, as a request; or what is wrong with it. */
export function readParameters(value: unknown): GraphqlRequest | string {
  if (Array.isArray(value)) return 'Several operations in one request are not served: send them one by one.';
  if (!isObject(value)) return 'A request is a JSON object.';
  const { query = null, operationName = null, variables = null, extensions = null, documentId = null } = value;
  if (query !== null && typeof query !== 'string') return 'query is text.';
  if (operationName !== null && typeof operationName !== 'string') return 'operationName is text.';
  if (variables !== null && !isObject(variables)) return 'variables is an object.';
  if (extensions !== null && !isObject(extensions)) return 'extensions is an object.';
  if (documentId !== null && typeof documentId !== 'string') return 'documentId is text.';
  if (query === null && documentId === null && !isObject(extensions?.persistedQuery))
    return 'query is missing: it is the document.';
  return { query, operationName, variables, extensions, documentId };
}

/** A target's query, as a form has it: a plus sign is a space. */
export function readQuery(query: string): GraphqlRequest | string {
  const given = new URLSearchParams(query);
  const value: Record<string, unknown> = {};
  for (const name of ['query', 'operationName', 'documentId']) {
    const text = given.get(name);
    if (text !== null && (text !== '' || name === 'query')) value[name] = text;
  }
  for (const name of ['variables', 'extensions']) {
    const text = given.get(name);
    if (text === null || text === '') continue;
    try {
      value[name] = JSON.parse(text);
    } catch {
      return `${name} is no JSON.`;
    }
  }
  return readParameters(value);
}

const UTF8 = new TextDecoder('utf-8', { fatal: true });

/** A body as JSON; undefined when it is none, or no UTF-8. */
export function readJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(UTF8.decode(body));
  } catch {
    return undefined;
  }
}
