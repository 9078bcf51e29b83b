// A server on real sockets with the shop among its services, for tests with real clients.
import { SILENT } from '../../../core/log.ts';
import type { Turn } from '../../../core/turn.ts';
import { Portico, type StartOptions } from '../../../portico.ts';
import { OPEN_ACCOUNTS } from '../../../resources/accounts/open-accounts.ts';
import { describe } from '../../../resources/services/define.ts';
import { OpenServices } from '../../../resources/services/registry.ts';
import { shopService } from '../../../resources/services/testing/shop.ts';

export async function serveShop(options: StartOptions = {}): Promise<Portico> {
  const portico = await Portico.start({ ports: 'ephemeral', storage: 'memory', ...options });
  const { server } = portico as unknown as { server: { turn: Turn; options: { resources: object } } };
  const services = new OpenServices({ turn: server.turn, log: SILENT, permissions: OPEN_ACCOUNTS.permissions });
  services.put('test', [describe(shopService())]);
  // The seam through which a server's own services come.
  Object.assign(server.options.resources, { services });
  return portico;
}
