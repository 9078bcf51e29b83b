// What Prometheus reads is what the server counts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Portico } from '../portico.ts';

test('/metrics has the connections, the topics and the process', async () => {
  await using portico = await Portico.start({ ports: 'ephemeral', storage: 'memory' });
  const url = portico.urls.http!;
  for (const payload of ['1', '2']) await fetch(`${url}/topics/m/a`, { method: 'PUT', body: payload });
  const answer = await fetch(`${url}/metrics`);
  assert.equal(answer.status, 200);
  assert.match(answer.headers.get('content-type')!, /^text\/plain; version=0\.0\.4/);
  const text = await answer.text();
  const value = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
  assert.equal(value('portico_topics_published_total'), 2);
  assert.equal(value('portico_bugs_total'), 0);
  assert.ok(value('portico_connections\\{protocol="http1"\\}') >= 1);
  assert.ok(value('process_resident_memory_bytes') > 1_000_000);
  assert.match(text, /^portico_info\{version="[\d.]+",node="v\d+/m);
  assert.match(text, /^# HELP portico_topics_retained \S/m);
  // Read again, a counter has not added itself up.
  assert.match(await (await fetch(`${url}/metrics`)).text(), /^portico_topics_published_total 2$/m);
  assert.equal((await fetch(`${url}/metrics`, { method: 'POST' })).status, 405);
});

test('/metrics has the queue of mail where mail leaves', async () => {
  const mail = { mode: 'deliver' as const, domains: ['here.test'] };
  await using portico = await Portico.start({ ports: 'ephemeral', storage: 'memory', mail });
  assert.match(await (await fetch(`${portico.urls.http}/metrics`)).text(), /^portico_mail_queue_mails 0$/m);
});
