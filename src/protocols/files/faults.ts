// What is refused here before the files are asked. The wire code is the status; each is answered with a problem (RFC 9457).
import { faultTable } from '../../core/fault.ts';

export const faults = faultTable('files', {
  badPath: {
    wire: 400,
    spec: 'RFC 3986 §2.1',
    text: 'An escape in the path is broken, or is not UTF-8.',
    scope: 'stream',
  },
  badDestination: {
    wire: 400,
    spec: 'RFC 4918 §10.3',
    text: 'Destination names nothing below /files/.',
    scope: 'stream',
  },
  elsewhere: {
    wire: 502,
    spec: 'RFC 4918 §9.9.4',
    text: 'Destination is on another server.',
    scope: 'stream',
  },
  badRange: {
    wire: 400,
    spec: 'RFC 9110 §14.5',
    text: 'Content-Range is no range of bytes, or is not what the body is.',
    scope: 'stream',
  },
  coded: {
    wire: 415,
    spec: 'RFC 9110 §8.4',
    text: 'Files are taken as they are: send them without Content-Encoding.',
    scope: 'stream',
  },
  badForm: {
    wire: 400,
    spec: 'RFC 7578 §4',
    text: 'The body is no form that can be read: parts between boundaries, each file with a name.',
    scope: 'stream',
  },
  longPart: {
    wire: 400,
    spec: 'RFC 7578 §4',
    text: 'The head of a part is too long.',
    scope: 'stream',
  },
  manyParts: { wire: 413, spec: 'RFC 7578 §4', text: 'The form has too many parts.', scope: 'stream' },
  badQuery: {
    wire: 400,
    spec: 'docs/files.md §Listings',
    text: 'The query has a value that cannot be.',
    scope: 'stream',
  },
  badUpload: {
    wire: 400,
    spec: 'draft-ietf-httpbis-resumable-upload §4',
    text: 'A field of the upload is missing or cannot be.',
    scope: 'stream',
  },
  inconsistentLength: {
    wire: 400,
    spec: 'draft-ietf-httpbis-resumable-upload §4.1.3',
    text: 'The lengths that this upload was given do not agree.',
    scope: 'stream',
  },
  wrongOffset: {
    wire: 409,
    spec: 'draft-ietf-httpbis-resumable-upload §4.4.2',
    text: 'The offset is not that of the upload.',
    scope: 'stream',
  },
  wrongVersion: {
    wire: 412,
    spec: 'tus 1.0.0 §Tus-Resumable',
    text: 'Version 1.0.0 of tus is spoken here.',
    scope: 'stream',
  },
  wrongType: {
    wire: 415,
    spec: 'tus 1.0.0 §PATCH',
    text: 'The body of this request has another media type than it must have.',
    scope: 'stream',
  },
  wrongChecksum: {
    wire: 460,
    spec: 'tus 1.0.0 §Checksum',
    text: 'The bytes are not those that the checksum was made of.',
    scope: 'stream',
  },
  badDigest: {
    wire: 400,
    spec: 'RFC 9530 §2',
    text: 'Content-Digest or Repr-Digest is malformed.',
    scope: 'stream',
  },
  wrongDigest: {
    wire: 400,
    spec: 'RFC 9530 §2',
    text: 'The bytes are not those that the digest was made of.',
    scope: 'stream',
  },
  badShare: {
    wire: 400,
    spec: 'docs/files.md §Sharing',
    text: 'A share is a JSON object with `seconds` and, if you like, `password`.',
    scope: 'stream',
  },
});
