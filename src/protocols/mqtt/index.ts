// MQTT as the server lists it.
import type { Pipe, Session } from '../../core/pipe.ts';
import type { Host, Protocol } from '../../core/protocol.ts';
import type { Accounts } from '../../resources/accounts/contract.ts';
import type { Resources } from '../../resources/resources.ts';
import type { Authenticator } from '../text/authenticator.ts';
import { scramSha256 } from '../text/scram.ts';
import { beginsWithConnect } from './codec.ts';
import { mqttDissector } from './dissect.ts';
import { faults } from './faults.ts';
import { limits } from './limits.ts';
import { type MqttHost, serveMqtt } from './server.ts';

/** Where clients look for it: `/mqtt` by custom, and what those ask for that were given a host alone. */
const PATHS = ['/mqtt', '/'];

/** The methods of each server's accounts, made once. */
const methods = new WeakMap<Accounts, readonly Authenticator[]>();

function methodsOf({ resources: { accounts }, entropy }: Host<Resources>): readonly Authenticator[] {
  // While there are none, any name is let in, but nobody can prove one.
  if (accounts.open) return [];
  let known = methods.get(accounts);
  if (known === undefined) {
    known = [scramSha256((account, answer) => answer(accounts.scramOf(account)), entropy)];
    methods.set(accounts, known);
  }
  return known;
}

const serve = (pipe: Pipe, host: Host<Resources>): Session => serveMqtt(pipe, host as MqttHost, methodsOf(host));

export const mqtt: Protocol<Resources> = {
  name: 'mqtt',
  specs: ['MQTT 5.0 (OASIS, 7 March 2019)', 'MQTT 3.1.1 (OASIS, 29 October 2014)', 'MQTT 3.1 (IBM, 2010)'],
  limits,
  faults,
  uses: ['topics', 'services'],
  listens: [
    {
      on: 'tcp',
      port: 1883,
      standardPort: 1883,
      recognises: beginsWithConnect,
      pipe: serve,
    },
    { on: 'tls', port: 8883, standardPort: 8883, alpn: 'mqtt', recognises: beginsWithConnect, pipe: serve },
    // The name that is registered ([MQTT-6.0.0-4]), and the one that clients of MQTT 3.1 ask for.
    { on: 'websocket', subprotocol: 'mqtt', paths: PATHS, signsIn: true, stream: serve },
    { on: 'websocket', subprotocol: 'mqttv3.1', paths: PATHS, signsIn: true, stream: serve },
  ],
  dissector: mqttDissector,
};
