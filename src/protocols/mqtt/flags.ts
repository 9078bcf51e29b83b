// Which versions there are, and which flag bytes each allows.
import type { Fault } from '../../core/fault.ts';
import { codecFaults as faults } from './faults.ts';
import * as P from './packets.ts';

/** The version with this protocol name and level, or null. */
export function versionOf(name: string, level: number): P.Version | null {
  if (name === 'MQIsdp') return level === P.V31 ? P.V31 : null;
  return level === P.V311 || level === P.V5 ? level : null;
}

/** What is wrong with the flags of a CONNECT, or null. */
export function wrongConnectFlags(flags: number, version: P.Version): Fault | null {
  // 3.1 reserves this bit but has nobody look at it.
  if ((flags & 0x01) !== 0 && version !== P.V31) return faults.connectReserved;
  // 5.0 allows a password alone.
  if ((flags & 0xc0) === 0x40 && version !== P.V5) return faults.passwordWithoutName;
  if ((flags & 0x04) === 0) return (flags & 0x38) !== 0 && version !== P.V31 ? faults.willFlags : null;
  return (flags & 0x18) === 0x18 ? faults.willQos : null;
}

/** What is wrong with the options of a subscription, or null. */
export function wrongOptions(options: number, filter: string, version: number): Fault | null {
  if ((options & 3) === 3) return faults.subscriptionQos;
  // 3.1 reserves the upper six bits and asks nobody to look at them; 3.1.1 does ([MQTT-3-8.3-4]).
  if (version !== P.V5) return version === P.V311 && options > 3 ? faults.subscriptionOptions : null;
  if ((options & 0xc0) !== 0) return faults.subscriptionOptions;
  if ((options & 0x30) === 0x30) return faults.retainHandling;
  return (options & 0x04) !== 0 && filter.startsWith('$share/') ? faults.noLocalShared : null;
}
