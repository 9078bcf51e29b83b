// The `portico` command. A verb's own file is loaded when it is asked for: what speaks every protocol takes its time to load, and
// `portico pub` needs little of it.
import { Command } from 'commander';
import packageJson from '../package.json' with { type: 'json' };
import { EXIT, endQuietly, quietPipes } from './cli/output.ts';

type Add = (program: Command) => void;

/** In the order in which the help lists them. */
const VERBS: Readonly<Record<string, () => Promise<Add>>> = {
  up: async () => (await import('./cli/up.ts')).addUp,
  pub: async () => (await import('./cli/pub.ts')).addPub,
  sub: async () => (await import('./cli/sub.ts')).addSub,
  send: async () => (await import('./cli/send.ts')).addSend,
  inbox: async () => (await import('./cli/inbox.ts')).addInbox,
  call: async () => (await import('./cli/call.ts')).addCall,
  dig: async () => (await import('./cli/dig.ts')).addDig,
  export: async () => (await import('./cli/export.ts')).addExport,
  backup: async () => (await import('./cli/backup.ts')).addBackup,
  get: async () => (await import('./cli/get.ts')).addGet,
  put: async () => (await import('./cli/put.ts')).addPut,
  ls: async () => (await import('./cli/ls.ts')).addLs,
  rm: async () => (await import('./cli/rm.ts')).addRm,
  mv: async () => (await import('./cli/mv.ts')).addMv,
  mirror: async () => (await import('./cli/mirror.ts')).addMirror,
  status: async () => (await import('./cli/status.ts')).addStatus,
  watch: async () => (await import('./cli/watch.ts')).addWatch,
  why: async () => (await import('./cli/why.ts')).addWhy,
  doctor: async () => (await import('./cli/doctor.ts')).addDoctor,
  lab: async () => (await import('./cli/lab.ts')).addLab,
  tour: async () => (await import('./cli/tour.ts')).addTour,
  cert: async () => (await import('./cli/cert.ts')).addCert,
  trust: async () => (await import('./cli/trust.ts')).addTrust,
  account: async () => (await import('./cli/account.ts')).addAccount,
  token: async () => (await import('./cli/token.ts')).addToken,
  rule: async () => (await import('./cli/rule.ts')).addRule,
  can: async () => (await import('./cli/rule.ts')).addCan,
  audit: async () => (await import('./cli/audit.ts')).addAudit,
  queue: async () => (await import('./cli/queue.ts')).addQueue,
  zone: async () => (await import('./cli/zone.ts')).addZone,
  services: async () => (await import('./cli/services.ts')).addServices,
};

/** Verbs that a file adds beside its own. */
const BESIDE: Readonly<Record<string, string>> = { restore: 'backup' };

quietPipes();
endQuietly();
const program = new Command('portico')
  .description('One server that speaks every web protocol over one set of data.')
  .version(packageJson.version)
  .showSuggestionAfterError()
  .exitOverride((error) => process.exit(error.exitCode === 0 ? EXIT.ok : EXIT.usage));
const [, , first = ''] = process.argv;
const asked = VERBS[BESIDE[first] ?? first];
const isVersion = first === '--version' || first === '-V';
const loaded = asked === undefined ? (isVersion ? [] : Object.values(VERBS)) : [asked];
for (const add of await Promise.all(loaded.map((load) => load()))) add(program);
if (process.argv.length <= 2) program.help();
await program.parseAsync();
