// Types of the model that zod has no word for: bytes, durations, nothing, and oneofs. They are zod schemas like others, and
// known again by the function within, which survives `.optional()`, `.describe()` and whatever else makes a copy.
import { z } from 'zod';
import type { Constraints, ScalarName } from '../../formats/schema/types.ts';

export interface Marked {
  readonly scalar: ScalarName;
  readonly constraints: Constraints;
}

// By symbols of the whole process: a program may bring its own copy of Portico.
const SCALAR = Symbol.for('portico.scalar');
const ONEOF = Symbol.for('portico.oneof');
const EMPTY = Symbol.for('portico.empty');

/** What a function of a `z.custom` stands for; undefined for a user's own. */
export function markOf(fn: object): Marked | undefined {
  return (fn as { readonly [SCALAR]?: Marked })[SCALAR];
}

/** The oneof that a field was made for. */
export function oneofOf(schema: object): string | undefined {
  return (schema as { readonly [ONEOF]?: string })[ONEOF];
}

export function isEmptyType(schema: object): boolean {
  return EMPTY in schema;
}

/** Bytes, as a `Uint8Array`; `min` and `max` are lengths. */
export function bytes(length: { readonly min?: number; readonly max?: number } = {}): z.ZodType<Uint8Array> {
  const { min = 0, max = Number.POSITIVE_INFINITY } = length;
  const fits = (value: unknown): boolean => value instanceof Uint8Array && value.length >= min && value.length <= max;
  const constraints = {
    ...(length.min === undefined ? {} : { minLength: min }),
    ...(length.max === undefined ? {} : { maxLength: max }),
  };
  Object.assign(fits, { [SCALAR]: { scalar: 'bytes', constraints } });
  return z.custom<Uint8Array>(fits, 'is not bytes of the length that is asked for');
}

/** A length of time, as a number of milliseconds. */
export function duration(reach: { readonly min?: number; readonly max?: number } = {}): z.ZodType<number> {
  const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = reach;
  const fits = (value: unknown): boolean =>
    typeof value === 'number' && Number.isFinite(value) && value >= min && value <= max;
  Object.assign(fits, { [SCALAR]: { scalar: 'duration', constraints: reach } });
  return z.custom<number>(fits, 'is not a number of milliseconds within its bounds');
}

/** What has nothing to say: google.protobuf.Empty. */
export const empty: z.ZodObject<Record<never, never>> = Object.assign(z.object({}), { [EMPTY]: true });

type Optionals<Shape extends Record<string, z.ZodType>> = { [Name in keyof Shape]: z.ZodOptional<Shape[Name]> };

/** Fields of which at most one is given: `z.object({ id: z.string(), ...oneof('payment', { card: Card, voucher: z.string() }) })`. */
export function oneof<Shape extends Record<string, z.ZodType>>(name: string, shape: Shape): Optionals<Shape> {
  const fields: Record<string, z.ZodOptional> = {};
  for (const [field, schema] of Object.entries(shape)) {
    const made = schema.optional();
    fields[field] = Object.assign(made, { [ONEOF]: name });
  }
  return fields as unknown as Optionals<Shape>;
}
