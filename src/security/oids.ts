// The object identifiers that certificates here are made of and shown with.

export const OIDS = {
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  basicConstraints: '2.5.29.19',
  keyUsage: '2.5.29.15',
  extendedKeyUsage: '2.5.29.37',
  subjectAltName: '2.5.29.17',
  subjectKeyIdentifier: '2.5.29.14',
  authorityKeyIdentifier: '2.5.29.35',
  nameConstraints: '2.5.29.30',
  certificatePolicies: '2.5.29.32',
  crlDistributionPoints: '2.5.29.31',
  crlNumber: '2.5.29.20',
  reasonCode: '2.5.29.21',
  authorityInfoAccess: '1.3.6.1.5.5.7.1.1',
  ocsp: '1.3.6.1.5.5.7.48.1',
  caIssuers: '1.3.6.1.5.5.7.48.2',
  ocspBasic: '1.3.6.1.5.5.7.48.1.1',
  ocspNonce: '1.3.6.1.5.5.7.48.1.2',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  acmeIdentifier: '1.3.6.1.5.5.7.1.31',
  extensionRequest: '1.2.840.113549.1.9.14',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  sha1: '1.3.14.3.2.26',
  sha256: '2.16.840.1.101.3.4.2.1',
} as const;

export type Validation = 'DV' | 'OV' | 'IV' | 'EV';

/** What an authority says that it checked (CA/Browser Forum, Baseline Requirements §7.1.6.1 and EV Guidelines). */
export const VALIDATION: Readonly<Record<string, Validation>> = {
  '2.23.140.1.2.1': 'DV',
  '2.23.140.1.2.2': 'OV',
  '2.23.140.1.2.3': 'IV',
  '2.23.140.1.1': 'EV',
};

/** In words, for people. */
export const VALIDATION_TEXT: Readonly<Record<Validation, string>> = {
  DV: 'domain validated: the authority checked who controls the name, and nothing else',
  OV: 'organization validated: the authority checked that the organization exists',
  IV: 'individual validated: the authority checked who the person is',
  EV: 'extended validation: the authority checked the organization by the EV guidelines',
};
