// Which of a few media types a request would rather have (RFC 9110 §12.5.1).

/** The first of `types` that Accept gives the highest weight; null when it wants none of them. */
export function preferred<Type extends string>(accept: string | null, types: readonly Type[]): Type | null {
  if (accept === null) return types[0] ?? null;
  const ranges = accept.split(',').map(rangeOf);
  let found: Type | null = null;
  let best = 0;
  for (const type of types) {
    const weight = weightOf(ranges, type);
    if (weight > best) {
      best = weight;
      found = type;
    }
  }
  return found;
}

interface Range {
  readonly type: string;
  readonly weight: number;
}

function rangeOf(text: string): Range {
  const [type, ...parameters] = text.split(';').map((part) => part.trim().toLowerCase());
  const weight = parameters.find((parameter) => parameter.startsWith('q='));
  const value = weight === undefined ? 1 : Number(weight.slice(2));
  return { type: type!, weight: value >= 0 && value <= 1 ? value : 0 };
}

/** The weight of the most specific range that fits. */
function weightOf(ranges: readonly Range[], type: string): number {
  const [essence] = type.split(';');
  const whole = essence!.trim().toLowerCase();
  const main = `${whole.slice(0, whole.indexOf('/'))}/*`;
  for (const fitting of [whole, main, '*/*']) {
    const range = ranges.find((each) => each.type === fitting);
    if (range !== undefined) return range.weight;
  }
  return 0;
}
