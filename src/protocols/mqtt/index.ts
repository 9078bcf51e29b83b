// MQTT as the server lists it.
import type { Host, Protocol } from '../../core/protocol.ts';
import type { Resources } from '../../resources/resources.ts';
import { beginsWithConnect } from './codec.ts';
import { mqttDissector } from './dissect.ts';
import { faults } from './faults.ts';
import { limits } from './limits.ts';
import { type MqttHost, serveMqtt } from './server.ts';

export const mqtt: Protocol<Resources> = {
  name: 'mqtt',
  specs: ['MQTT 5.0 (OASIS, 7 March 2019)', 'MQTT 3.1.1 (OASIS, 29 October 2014)', 'MQTT 3.1 (IBM, 2010)'],
  limits,
  faults,
  uses: ['topics'],
  listens: [
    {
      on: 'tcp',
      port: 1883,
      standardPort: 1883,
      recognises: beginsWithConnect,
      pipe: (pipe, host: Host<Resources>) => serveMqtt(pipe, host as MqttHost),
    },
  ],
  dissector: mqttDissector,
};
