// How the ends of calls are told as SOAP faults: whose fault it is. The code itself stands in the fault's detail, and in SOAP
// 1.2 also as its subcode.
import type { CodeTable } from '../../resources/services/status.ts';

export type Side = 'Sender' | 'Receiver';

export const CODE_SIDES: CodeTable<Side> = {
  OK: 'Receiver',
  CANCELLED: 'Receiver',
  UNKNOWN: 'Receiver',
  INVALID_ARGUMENT: 'Sender',
  DEADLINE_EXCEEDED: 'Receiver',
  NOT_FOUND: 'Sender',
  ALREADY_EXISTS: 'Sender',
  PERMISSION_DENIED: 'Sender',
  RESOURCE_EXHAUSTED: 'Receiver',
  FAILED_PRECONDITION: 'Sender',
  ABORTED: 'Sender',
  OUT_OF_RANGE: 'Sender',
  UNIMPLEMENTED: 'Sender',
  INTERNAL: 'Receiver',
  UNAVAILABLE: 'Receiver',
  DATA_LOSS: 'Receiver',
  UNAUTHENTICATED: 'Sender',
};
