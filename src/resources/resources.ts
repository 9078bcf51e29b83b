// The resources that protocols are given.
import type { Accounts } from './accounts/contract.ts';
import type { Certificates } from './certificates/contract.ts';
import type { Files } from './files/contract.ts';
import type { Mail } from './mail/contract.ts';
import type { Names } from './names/contract.ts';
import type { Services } from './services/contract.ts';
import type { Topics } from './topics/contract.ts';

export interface Resources {
  readonly accounts: Accounts;
  readonly topics: Topics;
  /** Absent on servers without any. */
  readonly services?: Services;
  /** By which clients of SSH know this server: private keys, as OpenSSH writes them. */
  readonly hostKeys?: readonly string[];
  /** Absent on servers without any. */
  readonly files?: Files;
  /** Absent on servers without any. */
  readonly mail?: Mail;
  /** Absent on servers without DNS. */
  readonly names?: Names;
  /** Absent where none are issued. */
  readonly certificates?: Certificates;
}
