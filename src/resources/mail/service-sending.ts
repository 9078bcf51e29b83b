// Mail that a program sends: composed, and delivered to those who are here.
import type { Caller } from '../../core/caller.ts';
import { INVALID, OK } from '../../core/outcome.ts';
import { type Address, addressText, flatAddresses, readAddresses } from '../../formats/mime/addresses.ts';
import { compose, type Enclosed } from '../../formats/mime/compose.ts';
import type { Recipient } from './contract.ts';
import type { MailServiceParts } from './service.ts';
import { failed } from './service-values.ts';

export interface Letter {
  readonly from: string;
  readonly to: readonly string[];
  readonly cc: readonly string[];
  readonly subject: string;
  readonly text?: string | undefined;
  readonly html?: string | undefined;
  /** Further fields of its header. */
  readonly headers?: readonly (readonly [name: string, value: string])[];
  readonly attachments: readonly { readonly name: string; readonly type: string; readonly content: Uint8Array }[];
}

const ID_BYTES = 12;

/** Throws a `ServiceError` for a recipient that is not taken; nobody gets it then. */
export async function sendMail(
  { mail, entropy, wall }: Pick<MailServiceParts, 'mail' | 'entropy' | 'wall'>,
  caller: Caller,
  letter: Letter,
): Promise<{ messageId: string }> {
  const from = addressesOf([letter.from])[0];
  const to = addressesOf(letter.to);
  const cc = addressesOf(letter.cc);
  if (from === undefined || to.length === 0) throw failed(INVALID);
  const recipients = [...to, ...cc].map((address): Recipient => {
    const text = addressText(address);
    const route = mail.route(text, caller);
    if (route.kind === 'refused') throw failed(route.outcome);
    return { address: text, route };
  });
  const random = () => {
    const bytes = Buffer.alloc(ID_BYTES);
    entropy.fill(bytes);
    return bytes.toString('hex');
  };
  const messageId = `<${random()}@${mail.domains[0] ?? 'localhost'}>`;
  const message = compose({
    from,
    to,
    cc,
    subject: letter.subject,
    date: wall(),
    messageId,
    ...(letter.headers === undefined ? {} : { headers: letter.headers }),
    ...(letter.text === undefined ? {} : { text: letter.text }),
    ...(letter.html === undefined ? {} : { html: letter.html }),
    attachments: letter.attachments.map(
      ({ name, type, content }): Enclosed => ({ name, type: plainType(type), bytes: content }),
    ),
    boundary: () => `=_${random()}`,
  });
  const trace = `Return-Path: <${addressText(from)}>\r\n`;
  const incoming = mail.incoming({ from: addressText(from), caller, recipients, trace });
  await new Promise<void>((resolve) => {
    let at = 0;
    const more = () => {
      at += incoming.write(message, at, message.length);
      incoming.onRoom = at < message.length ? more : null;
      if (at === message.length) resolve();
    };
    more();
  });
  const outcome = await new Promise<number>((resolve) => {
    incoming.commit({ settled: (_token, settled) => resolve(settled) }, 0);
  });
  if (outcome !== OK) throw failed(outcome as typeof INVALID);
  return { messageId };
}

function addressesOf(texts: readonly string[]): Address[] {
  return texts.flatMap((text) => {
    const found = flatAddresses(readAddresses(text.replace(/[\r\n]+/g, ' ')));
    if (found.length === 0 || found.some(({ domain, local }) => domain === '' || local === '')) throw failed(INVALID);
    return found;
  });
}

/** A type as a header may have it. */
function plainType(type: string): string {
  return /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+$/.test(type) ? type : 'application/octet-stream';
}
