// What people write with the npm package ssh2: its own SFTP server over a folder. Prints its port.
import { generateKeyPairSync } from 'node:crypto';
import { close, constants, fstat, open, read, type Stats, stat, write } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import ssh2 from 'ssh2';

const { Server, utils } = ssh2;
const { OPEN_MODE, STATUS_CODE } = utils.sftp;
const folder = process.argv[2]!;
const hostKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'sec1', format: 'pem' });

const attributes = ({ mode, uid, gid, size, atimeMs, mtimeMs }: Stats) => ({
  mode,
  uid,
  gid,
  size,
  atime: Math.floor(atimeMs / 1_000),
  mtime: Math.floor(mtimeMs / 1_000),
});

const server = new Server({ hostKeys: [hostKey] }, (client) => {
  client.on('error', () => {});
  client.on('authentication', (context) => context.accept());
  client.on('ready', () => {
    client.on('session', (accept) => {
      accept().on('sftp', (acceptSftp) => {
        const sftp = acceptSftp();
        const handleOf = (fd: number) => {
          const handle = Buffer.alloc(4);
          handle.writeUInt32BE(fd);
          return handle;
        };
        const done = (id: number) => (error: Error | null) =>
          sftp.status(id, error === null ? STATUS_CODE.OK : STATUS_CODE.FAILURE);
        const told = (id: number) => (error: Error | null, stats: Stats) =>
          error === null ? sftp.attrs(id, attributes(stats)) : sftp.status(id, STATUS_CODE.NO_SUCH_FILE);
        sftp.on('REALPATH', (id, path) =>
          sftp.name(id, [{ filename: join('/', path), longname: '', attrs: {} as never }]),
        );
        sftp.on('STAT', (id, path) => stat(join(folder, path), told(id)));
        sftp.on('LSTAT', (id, path) => stat(join(folder, path), told(id)));
        sftp.on('FSTAT', (id, handle) => fstat(handle.readUInt32BE(0), told(id)));
        sftp.on('SETSTAT', (id) => sftp.status(id, STATUS_CODE.OK));
        sftp.on('FSETSTAT', (id) => sftp.status(id, STATUS_CODE.OK));
        sftp.on('OPEN', (id, path, flags) => {
          const isWritten = (flags & OPEN_MODE.WRITE) !== 0;
          const how = isWritten ? constants.O_CREAT | constants.O_TRUNC | constants.O_WRONLY : constants.O_RDONLY;
          open(join(folder, path), how, 0o644, (error, fd) =>
            error === null ? sftp.handle(id, handleOf(fd)) : sftp.status(id, STATUS_CODE.NO_SUCH_FILE),
          );
        });
        sftp.on('READ', (id, handle, offset, length) => {
          const bytes = Buffer.allocUnsafe(length);
          read(handle.readUInt32BE(0), bytes, 0, length, offset, (error, count) => {
            if (error !== null) sftp.status(id, STATUS_CODE.FAILURE);
            else if (count === 0) sftp.status(id, STATUS_CODE.EOF);
            else sftp.data(id, bytes.subarray(0, count));
          });
        });
        sftp.on('WRITE', (id, handle, offset, data) =>
          write(handle.readUInt32BE(0), data, 0, data.length, offset, done(id)),
        );
        // The client has ended and waits for the same.
        sftp.on('end', () => sftp.end());
        sftp.on('CLOSE', (id, handle) => close(handle.readUInt32BE(0), done(id)));
      });
    });
  });
});
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port));
process.stdin.on('end', () => process.exit(0)).resume();
