// A server with fake services behind it, for tests with real clients.
import { Portico, type StartOptions } from '../../../portico.ts';
import type { Services } from '../../../resources/services/contract.ts';

export async function serve(services: Services, options: StartOptions = {}): Promise<Portico> {
  const portico = await Portico.start({ ports: 'ephemeral', storage: 'memory', ...options });
  // The seam through which a server's own services come.
  const { options: given } = (portico as unknown as { server: { options: { resources: object } } }).server;
  Object.assign(given.resources, { services });
  return portico;
}
