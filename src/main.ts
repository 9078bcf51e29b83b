// The `portico` command.
import { Command } from 'commander';
import { addAccount } from './cli/account.ts';
import { addAudit } from './cli/audit.ts';
import { addBackup } from './cli/backup.ts';
import { addCall } from './cli/call.ts';
import { addCert } from './cli/cert.ts';
import { addDoctor } from './cli/doctor.ts';
import { addExport } from './cli/export.ts';
import { addGet } from './cli/get.ts';
import { EXIT, quietPipes } from './cli/output.ts';
import { addPub } from './cli/pub.ts';
import { addCan, addRule } from './cli/rule.ts';
import { addServices } from './cli/services.ts';
import { addStatus } from './cli/status.ts';
import { addSub } from './cli/sub.ts';
import { addToken } from './cli/token.ts';
import { addTour } from './cli/tour.ts';
import { addTrust } from './cli/trust.ts';
import { addUp } from './cli/up.ts';
import { addWatch } from './cli/watch.ts';
import { addWhy } from './cli/why.ts';
import { VERSION } from './portico.ts';

quietPipes();
const program = new Command('portico')
  .description('One server that speaks every web protocol over one set of data.')
  .version(VERSION)
  .showSuggestionAfterError()
  .exitOverride((error) => process.exit(error.exitCode === 0 ? EXIT.ok : EXIT.usage));
addUp(program);
addPub(program);
addSub(program);
addCall(program);
addExport(program);
addBackup(program);
addGet(program);
addStatus(program);
addWatch(program);
addWhy(program);
addDoctor(program);
addTour(program);
addCert(program);
addTrust(program);
addAccount(program);
addToken(program);
addRule(program);
addCan(program);
addAudit(program);
addServices(program);
if (process.argv.length <= 2) program.help();
await program.parseAsync();
