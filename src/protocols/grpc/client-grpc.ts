// A call in gRPC (PROTOCOL-HTTP2.md): its status is in the trailers, or in a head that is all of the answer.
import type { BodyReader } from '../../core/exchange.ts';
import type { Fields } from '../../core/fields.ts';
import type { Status } from '../../resources/services/status.ts';
import { ClientCall } from './client-call.ts';
import { decodeWords, fromBase64, metadataOf, timeoutText } from './codec.ts';
import { CODINGS, codingOf } from './coding.ts';
import { faults } from './faults.ts';
import { codeNamed, codeOfHttp, detailsOf } from './server-ending.ts';

export class GrpcClientCall extends ClientCall {
  /** What ends the call. */
  private last: Fields | null = null;

  protected head(fields: Fields): void {
    const { coding } = this.client.options;
    fields.append('content-type', 'application/grpc+proto').append('te', 'trailers');
    fields.append('user-agent', 'grpc-portico').append('grpc-accept-encoding', CODINGS);
    if (coding !== null) fields.append('grpc-encoding', coding);
    if (this.given.timeoutMs !== Number.POSITIVE_INFINITY)
      fields.append('grpc-timeout', timeoutText(this.given.timeoutMs));
  }

  answered(status: number, _reason: string, fields: Fields): BodyReader | null {
    const type = fields.get('content-type') ?? '';
    // What is not gRPC's has been answered by somebody before the server (http-grpc-status-mapping.md).
    if (!type.startsWith('application/grpc')) {
      this.stop({ code: codeOfHttp(status), message: `the server answers with status ${status}`, details: [] }, []);
      return null;
    }
    const encoding = fields.get('grpc-encoding') ?? 'identity';
    this.inCoding = codingOf(encoding);
    if (this.inCoding === null && encoding !== 'identity') {
      this.fail(faults.coding);
      return null;
    }
    if (fields.has('grpc-status')) this.last = fields;
    else if (!this.isDone) this.receiver.headers(metadataOf(fields));
    return this.body;
  }

  protected told(fields: Fields): void {
    this.last = fields;
  }

  protected ended(): void {
    const { last } = this;
    const code = last?.get('grpc-status') ?? null;
    if (last === null || code === null)
      this.stop({ code: 'INTERNAL', message: 'the answer ends without a status', details: [] }, []);
    else this.end(this.statusOf(last, code), metadataOf(last));
  }

  private statusOf(fields: Fields, code: string): Status {
    const bytes = fields.get('grpc-status-details-bin');
    const details = bytes === null ? null : fromBase64(bytes);
    return {
      code: codeNamed(code),
      message: decodeWords(fields.get('grpc-message') ?? ''),
      details: details === null ? [] : detailsOf(details, this.route.method.service.schema),
    };
  }
}
