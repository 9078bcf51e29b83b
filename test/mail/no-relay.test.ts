// No relay for strangers: every combination of who asks, where, for whom, and how the server is set.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectSmtp } from '../../src/exports/smtp.ts';
import { Portico, type PorticoConfig } from '../../src/portico.ts';
import { PASSWORD, portOf } from './house.ts';

const MAIL: Readonly<Record<string, PorticoConfig['mail']>> = {
  catch: { domains: ['here.test'] },
  deliver: { mode: 'deliver', domains: ['here.test'], relay: { smartHost: 'smtp://127.0.0.1:1', retryMs: 86_400_000 } },
  'deliver, no relay': { mode: 'deliver', domains: ['here.test'], relay: false },
};
const LISTENERS = [
  ['smtp', 'tcp'],
  ['submission', 'tcp'],
  ['submission', 'tls'],
] as const;
/** `any`: a name and a password of nobody's. */
const WHO = ['nobody', 'ann', 'any'] as const;
const TO = { here: 'ann@here.test', unknown: 'nobody@here.test', there: 'x@there.test' } as const;

/** What a recipient is answered, as the documentation says it. */
function expected(mode: string, accounts: boolean, protocol: string, who: string, to: keyof typeof TO): string {
  // Until there are accounts, any name is let in, and nothing leaves for it.
  if (accounts && who === 'any') return 'sign-in refused';
  if (protocol === 'submission' && accounts && who === 'nobody') return '530';
  if (mode === 'catch') return '250';
  if (to === 'here') return accounts ? '250' : '550';
  if (to === 'unknown') return '550';
  return mode === 'deliver' && accounts && who === 'ann' ? '250' : '550';
}

for (const accounts of [true, false])
  for (const [mode, mail] of Object.entries(MAIL))
    test(`${mode}, ${accounts ? 'with accounts' : 'without accounts'}: who may send to whom`, async () => {
      await using portico = await Portico.start({
        ...{ storage: 'memory', ports: 'ephemeral', hosts: ['127.0.0.1'], mail: mail! },
        outbound: { allow: ['127.0.0.1'] },
      });
      if (accounts) {
        const made = await portico.order({ do: 'account.add', name: 'ann', password: PASSWORD });
        assert.ok(made.ok);
      }
      const got: string[] = [];
      const wanted: string[] = [];
      for (const [protocol, on] of LISTENERS)
        for (const who of WHO)
          for (const to of Object.keys(TO) as (keyof typeof TO)[]) {
            const where = `${protocol} ${on}, ${who} to ${to}: `;
            const port = portOf(portico, protocol, on);
            wanted.push(where + expected(mode, accounts, protocol, who, to));
            got.push(where + (await answerTo(on === 'tls', port, who, TO[to])));
          }
      assert.deepEqual(got, wanted);
      const queued = portico.mail.queue?.list(0, 1_000) ?? [];
      assert.ok(queued.every(({ recipients }) => recipients.every(({ address }) => address === TO.there)));
      assert.equal(queued.length, mode === 'deliver' && accounts ? 3 : 0);
    });

async function answerTo(tls: boolean, port: number, who: string, to: string): Promise<string> {
  const url = `${tls ? 'smtps' : 'smtp'}://127.0.0.1:${port}`;
  const user = who === 'nobody' ? '' : who === 'any' ? 'mallory' : who;
  try {
    using connection = await connectSmtp(url, { user, password: PASSWORD, tls: { verify: false }, startTls: 'never' });
    const message = Buffer.from('Subject: x\r\n\r\nx\r\n');
    const [outcome] = await connection.send({ from: 'someone@else.test', to: [to], message });
    return String(outcome!.reply?.code);
  } catch (error) {
    assert.match(String(error), / (?:535 5\.7\.8|454 4\.7\.0) /);
    return 'sign-in refused';
  }
}
