// Topics by mail: what is sent to `topics+a.b` of a server's domain is published to `a/b`. Nothing is read so.
import { connectSmtp } from '../exports/smtp.ts';
import { type Channel, type Place, Refusal } from './channel.ts';
import { authorityOf } from './channel-http.ts';

/** A domain that every server takes mail for. */
const DOMAIN = 'localhost';

export function mailAddressOf(topic: string): string {
  return `topics+${topic.replaceAll('.', '%2E').replaceAll('/', '.')}@${DOMAIN}`;
}

export function mailChannel(place: Place): Promise<Channel> {
  return Promise.resolve(new MailChannel(place));
}

class MailChannel implements Channel {
  readonly closed = Promise.resolve();
  private readonly place: Place;

  constructor(place: Place) {
    this.place = place;
  }

  async publish(topic: string, payload: Buffer): Promise<null> {
    const to = mailAddressOf(topic);
    const head = `Subject: ${topic}\r\nFrom: <tour@${DOMAIN}>\r\nTo: <${to}>\r\n`;
    const message = Buffer.concat([Buffer.from(`${head}Content-Type: text/plain; charset=utf-8\r\n\r\n`), payload]);
    const connection = await connectSmtp(`smtp://${authorityOf(this.place)}`, { startTls: 'never' });
    try {
      const [outcome] = await connection.send({ from: `tour@${DOMAIN}`, to: [to], message });
      if (outcome?.state !== 'sent') throw new Refusal(outcome?.text ?? 'the server did not take it');
    } finally {
      connection.close();
    }
    return null;
  }

  subscribe(): Promise<void> {
    return Promise.reject(new Refusal('nothing is read by mail here'));
  }

  close(): void {}
}
