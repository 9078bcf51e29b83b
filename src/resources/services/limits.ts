// The bounds of calls, whichever protocol makes them.
import type { Limits } from '../../core/limits.ts';

export const SERVICE_LIMITS = {
  callsMax: {
    what: 'calls at once; a handler that goes on after its call has ended keeps its place',
    default: 10_000,
    least: 1,
    most: 1_000_000,
    unit: 'count',
    fault: null,
    spec: 'RESOURCE_EXHAUSTED',
  },
  callsPerCallerMax: {
    what: 'calls at once of one account; of all who have none together',
    default: 1_000,
    least: 1,
    most: 1_000_000,
    unit: 'count',
    fault: null,
    spec: 'RESOURCE_EXHAUSTED',
  },
  inputsMax: {
    what: 'inputs of a call that its handler has not asked for yet; then the caller is held back',
    default: 16,
    least: 1,
    most: 1_024,
    unit: 'count',
    fault: null,
    spec: 'back-pressure',
  },
} as const satisfies Limits;
