// A server of SMTP that takes what comes and tells when: for tests of those who send.
import { type AddressInfo, createServer, type Socket } from 'node:net';

export interface Receiver {
  readonly port: number;
  /** What was taken: the texts of messages, with their dots. */
  readonly taken: string[];
  /** Messages whose end has come, answered or not. */
  ended: number;
  close(): void;
}

/** @param waitMs before a message is answered with 250 @param breaksTls it offers TLS, and does none */
export async function receiver(waitMs: () => number, breaksTls = false): Promise<Receiver> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.setNoDelay(true);
    let text = '';
    let isWithin = false;
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    socket.write('220 fake ESMTP\r\n');
    const read = () => {
      for (;;) {
        const end = text.indexOf(isWithin ? '\r\n.\r\n' : '\r\n');
        if (end < 0) return;
        const line = text.slice(0, end);
        text = text.slice(end + (isWithin ? 5 : 2));
        if (isWithin) {
          isWithin = false;
          it.ended++;
          setTimeout(() => {
            if (socket.destroyed) return;
            it.taken.push(line);
            socket.write('250 2.0.0 taken\r\n');
          }, waitMs());
        } else if (/^DATA$/i.test(line)) {
          isWithin = true;
          socket.write('354 go on\r\n');
        } else if (/^STARTTLS$/i.test(line)) {
          socket.write('220 go on\r\n');
          socket.once('data', () => socket.end('this is no handshake'));
        } else if (/^QUIT$/i.test(line)) socket.end('221 bye\r\n');
        else
          socket.write(
            /^EHLO/i.test(line)
              ? `250-fake\r\n250-PIPELINING\r\n${breaksTls ? '250-STARTTLS\r\n' : ''}250 8BITMIME\r\n`
              : '250 ok\r\n',
          );
      }
    };
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1');
      read();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const it: Receiver = {
    port: (server.address() as AddressInfo).port,
    taken: [],
    ended: 0,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
  return it;
}
