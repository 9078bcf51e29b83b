// Portico as it is measured: its own process, its configuration the first argument, its URLs the first line it prints.
import { Portico } from '../../src/portico.ts';

const portico = await Portico.start({
  ports: 'ephemeral',
  hosts: ['127.0.0.1'],
  ...JSON.parse(process.argv[2] ?? '{}'),
});
console.log(JSON.stringify(portico.urls));

const stop = () => void portico.close().then(() => process.exit(0));
process.once('SIGTERM', stop);
// Whoever started it is gone.
process.stdin.on('end', stop).resume();
