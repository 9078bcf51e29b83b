// Somebody else's SOAP service, by its WSDL, as a neutral service: a method for each operation, whose handler sends the envelope and
// reads the answer. How requests travel is somebody else's.

import { TreeError, xmlTree } from '../../formats/xml/tree.ts';
import type { Described, Handled } from '../../resources/services/define.ts';
import type { CallTerms, HandlerCall } from '../../resources/services/handler.ts';
import { type CodeName, ServiceError, type Status } from '../../resources/services/status.ts';
import { type ClientOperation, type SoapSender, type SoapTerms, soapAnswer, soapRequest } from './client.ts';
import { WsdlError } from './wsdl-documents.ts';
import type { ImportedService } from './wsdl-import.ts';

/** A way to the other server. Rejects when it cannot be reached. */
export interface SoapCarrier {
  ask(
    url: string,
    fields: Readonly<Record<string, string>>,
    body: Buffer,
    call: CallTerms,
  ): Promise<{ readonly status: number; readonly contentType: string; readonly body: Buffer }>;
}

export interface SoapUpstreamOptions {
  readonly sender: SoapSender;
  /** XML of what stands in each header beside; '' for nothing. */
  readonly header: string;
  /** Where it is called, if not where its WSDL says; '' for there. */
  readonly address: string;
  readonly random: SoapTerms['random'];
}

/** Throws a `WsdlError`. */
export function describeSoap(
  { service, operations }: ImportedService,
  carrier: SoapCarrier,
  options: SoapUpstreamOptions,
): Described {
  const { header } = options;
  try {
    xmlTree(Buffer.from(`<h>${header}</h>`), 'utf-8', { elementsMax: 1_000, names: new Set() });
  } catch (error) {
    if (error instanceof TreeError) throw new WsdlError(`what stands in the header is not XML: ${error.message}`);
    throw error;
  }
  const handlers = new Map<string, Handled>();
  for (const [name, found] of operations) {
    const operation = options.address === '' ? found : { ...found, location: options.address };
    const handler = handlerOf(operation, carrier, options) as Handled['handler'];
    handlers.set(name, { handler, refineInput: null, refineOutput: null });
  }
  return { service, handlers };
}

function handlerOf(operation: ClientOperation, carrier: SoapCarrier, { sender, header, random }: SoapUpstreamOptions) {
  return async (input: unknown, call: HandlerCall): Promise<unknown> => {
    const request = soapRequest(operation, input, { sender, header, metadata: [], now: Date.now(), random });
    if ('code' in request) throw errorOf(request);
    const told = await carrier.ask(operation.location, request.fields, request.body, call).catch((error: unknown) => {
      throw error instanceof ServiceError ? error : new ServiceError('UNAVAILABLE', 'the upstream cannot be reached');
    });
    const answer = soapAnswer(operation, told.status, told.contentType, told.body);
    if (answer.status !== null) throw errorOf(answer.status);
    return answer.value;
  };
}

function errorOf({ code, message, details }: Status): ServiceError {
  return new ServiceError(code as Exclude<CodeName, 'OK'>, message, details);
}
