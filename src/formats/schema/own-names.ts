// Names of somebody else's schema as names here: of types, of fields, of an enumeration's values.

/** Text as a name of a type or method: `get-order` is `GetOrder`. */
export function typeName(text: string): string {
  const name = text
    .split(/[^A-Za-z0-9]+/)
    .filter(Boolean)
    .map((part) => part[0]!.toUpperCase() + part.slice(1))
    .join('');
  return /^[A-Z]/.test(name) ? name : `X${name}`;
}

/** Text as a name of a field: `order-id`, `OrderId` and `order_id` are `orderId`, `ID` is `id`, `URLPath` is `urlPath`. */
export function fieldName(text: string): string {
  if (/^[a-z][A-Za-z0-9]*$/.test(text)) return text;
  const name = typeName(text);
  return name.replace(/^[A-Z]+(?=[A-Z][a-z])|^[A-Z]+/, (start) => start.toLowerCase());
}

/** As a .proto writes it. */
export function protoName(field: string): string {
  return field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Text as a name of a value: `in-stock` is `in_stock`. */
export function valueName(text: string): string {
  const name = text.replace(/[^A-Za-z0-9_]+/g, '_').replace(/^__+/, '_');
  if (name === '' || name === '_') return 'EMPTY';
  return /^[A-Za-z_]/.test(name) && !/^(?:true|false|null)$/.test(name) ? name : `_${name}`;
}

/** A name that is not among those taken; `value`, then `value2`. */
export function freeName(name: string, taken: { has(name: string): boolean }): string {
  if (!taken.has(name)) return name;
  let number = 2;
  while (taken.has(`${name}${number}`)) number++;
  return `${name}${number}`;
}
