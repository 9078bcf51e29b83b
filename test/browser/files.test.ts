// The page of a folder in a real browser: a form uploads files, the page shows them, and what was uploaded cannot run.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Portico } from '../../src/portico.ts';
import { launch, skip } from './chromium.ts';

test('Chromium uploads by form, sees the files and downloads one', { timeout: 60_000, skip }, async () => {
  const base = mkdtempSync(join(tmpdir(), 'portico-browser-files-'));
  const running = await Portico.start({ data: join(base, 'data'), ports: 'ephemeral', control: false });
  const browser = await launch();
  try {
    const page = await browser.newPage();
    const script = '<script>document.title = "it ran"</script><title>still</title>';
    writeFileSync(join(base, 'ü & "quoted".html'), script);
    writeFileSync(join(base, 'large.bin'), Buffer.alloc(4_000_000, 'chromium'));
    await page.goto(`${running.urls.http!}/files/shared/`);
    await page.setInputFiles('input[type=file]', [join(base, 'ü & "quoted".html'), join(base, 'large.bin')]);
    await page.click('button');
    const link = page.getByRole('link', { name: 'ü & "quoted".html' });
    await link.waitFor();
    assert.ok(
      readFileSync(join(base, 'data', 'files', 'shared', 'large.bin')).equals(Buffer.alloc(4_000_000, 'chromium')),
    );
    await link.click();
    await page.waitForURL(/quoted/);
    assert.equal(await page.title(), 'still');
  } finally {
    await browser.close();
    await running.close();
    rmSync(base, { recursive: true });
  }
});
