// npm's dns2 as an authority over UDP: the answers in a map, its port the first line.
import { createRequire } from 'node:module';
import { join } from 'node:path';

interface Request {
  readonly questions: readonly { readonly name: string }[];
}
interface Answering {
  createServer(options: object): {
    listen(options: object): Promise<Readonly<Record<'udp', { readonly port: number }>>>;
  };
  readonly Packet: {
    createResponseFromRequest(request: Request): { answers: object[]; header: { aa: number } };
    readonly TYPE: { readonly A: number };
    readonly CLASS: { readonly IN: number };
  };
}

const require = createRequire(join(process.env.BENCH_PEERS ?? '', 'node_modules', 'x.js'));
const { createServer, Packet } = require('dns2') as Answering;

const names = new Map<string, string>();
for (let index = 0; index < Number(process.argv[2]); index++)
  names.set(`h${index}.bench.example`, `10.0.${index >> 8}.${index & 255}`);

const server = createServer({
  udp: { type: 'udp4' },
  handle(request: Request, send: (response: object) => void) {
    const response = Packet.createResponseFromRequest(request);
    const [{ name }] = request.questions as readonly [{ readonly name: string }];
    const address = names.get(name);
    response.header.aa = 1;
    if (address !== undefined)
      response.answers.push({ name, type: Packet.TYPE.A, class: Packet.CLASS.IN, ttl: 300, address });
    send(response);
  },
});

const { udp } = await server.listen({ udp: { port: 0, address: '127.0.0.1' } });
console.log(udp.port);
process.stdin.on('end', () => process.exit(0)).resume();
