// Asks a person for a password without showing it. A script gives it on standard input; it is never in the arguments, which
// every program on the machine can read.
import { EXIT, fail } from './output.ts';

const LINE_MAX = 4_096;

/** A new password: the first line of standard input where that is asked for, else asked for twice. */
export async function newPassword(fromStdin: boolean, whose: string): Promise<string> {
  if (fromStdin) return firstLine();
  const password = await hidden(`password for ${whose}: `);
  if ((await hidden('the same again: ')) !== password) fail('they are not the same; nothing was changed', EXIT.usage);
  return password;
}

/** A password that is known: the first line of standard input where that is asked for, else asked for once. */
export function knownPassword(fromStdin: boolean, whose: string): Promise<string> {
  return fromStdin ? firstLine() : hidden(`password for ${whose}: `);
}

async function firstLine(): Promise<string> {
  let text = '';
  process.stdin.setEncoding('utf8');
  for await (const chunk of process.stdin) {
    text += chunk;
    if (text.includes('\n') || text.length > LINE_MAX) break;
  }
  const line = text.split(/\r?\n/, 1)[0]!;
  if (line === '') fail('standard input is empty; give the password as its first line', EXIT.usage);
  return line;
}

function hidden(question: string): Promise<string> {
  const { stdin, stderr } = process;
  if (!stdin.isTTY)
    fail('there is no terminal to ask for the password; give it on standard input with --password-stdin', EXIT.usage);
  return new Promise((resolve) => {
    let typed = '';
    const done = () => {
      stdin.setRawMode(false);
      stdin.pause();
      stdin.off('data', take);
      stderr.write('\n');
    };
    const take = (text: string) => {
      for (const character of text) {
        if (character === '\r' || character === '\n' || character === '\u0004') {
          done();
          resolve(typed);
          return;
        }
        if (character === '\u0003') {
          done();
          process.exit(130);
        }
        if (character === '\u007f' || character === '\b') typed = [...typed].slice(0, -1).join('');
        else if (character === '\u0015') typed = '';
        else if (typed.length < LINE_MAX) typed += character;
      }
    };
    // Before the question, so that a quick answer to it is not echoed by the terminal.
    stdin.setRawMode(true);
    stdin.setEncoding('utf8');
    stdin.on('data', take);
    stdin.resume();
    stderr.write(question);
  });
}
