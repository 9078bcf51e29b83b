// The root: where its servers are and what its keys are known by, as IANA publishes both (root hints of April 2024; RFC 7958 anchors
// KSK-2017 and KSK-2024).
import { nameFrom, ROOT } from '../../formats/dns/name.ts';
import type { TrustAnchor } from './resolver-judge.ts';
import type { NamedServer } from './resolver-servers.ts';

const SERVERS: Readonly<Record<string, readonly string[]>> = {
  'a.root-servers.net.': ['198.41.0.4', '2001:503:ba3e::2:30'],
  'b.root-servers.net.': ['170.247.170.2', '2801:1b8:10::b'],
  'c.root-servers.net.': ['192.33.4.12', '2001:500:2::c'],
  'd.root-servers.net.': ['199.7.91.13', '2001:500:2d::d'],
  'e.root-servers.net.': ['192.203.230.10', '2001:500:a8::e'],
  'f.root-servers.net.': ['192.5.5.241', '2001:500:2f::f'],
  'g.root-servers.net.': ['192.112.36.4', '2001:500:12::d0d'],
  'h.root-servers.net.': ['198.97.190.53', '2001:500:1::53'],
  'i.root-servers.net.': ['192.36.148.17', '2001:7fe::53'],
  'j.root-servers.net.': ['192.58.128.30', '2001:503:c27::2:30'],
  'k.root-servers.net.': ['193.0.14.129', '2001:7fd::1'],
  'l.root-servers.net.': ['199.7.83.42', '2001:500:9f::42'],
  'm.root-servers.net.': ['202.12.27.33', '2001:dc3::35'],
};

export const ROOT_SERVERS: readonly NamedServer[] = Object.entries(SERVERS).map(([name, addresses]) => ({
  name: Buffer.from(nameFrom(name)!),
  addresses,
}));

const SIGNERS = [
  '4f660802e06d44b80b8f1d39a95c0b0d7c65d08458e880409bbc683457104237c7f8ec8d',
  '97280802683d2d0acb8c9b712a1948b27f741219298d0a450d612c483af444a4c0fb2b16',
];

export const ROOT_ANCHOR: TrustAnchor = {
  zone: Buffer.from(ROOT),
  signers: SIGNERS.map((hex) => Buffer.from(hex, 'hex')),
  keys: [],
};
