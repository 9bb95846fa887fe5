import assert from 'node:assert/strict';
import type { Page } from 'playwright-core';
import { load } from '../../src/load.js';
import { askPrompt } from '../../src/languageModel.js';
import { assertManners, describePlayground } from './playground.js';

async function saidAt(page: Page, stop: number): Promise<string> {
  const said = page.locator(`[data-stop="${stop}"] [data-said="${stop}"]`);
  await said.waitFor();
  return (await said.textContent()) ?? '';
}

describePlayground('the tour', (playground) => {
  it('leads through all views by the keyboard, and the model answers at each stop', async () => {
    const page = await playground.open('');
    await page.getByRole('link', { name: /Take the tour/ }).focus();
    const views: string[] = [];
    const answers: string[] = [];
    for (let stop = 1; stop <= 8; stop++) {
      await page.keyboard.press('Enter');
      await page.locator(`[data-stop="${stop}"]`).waitFor();
      await page.getByRole('link', { name: 'Let the model answer' }).focus();
      await page.keyboard.press('Enter');
      answers.push(await saidAt(page, stop));
      views.push((await page.locator('nav [aria-current] .numeral').textContent()) ?? '');
      if (stop < 8) await page.getByRole('link', { name: 'Next stop' }).focus();
    }
    assert.deepEqual(views, ['1', '2', '3', '4', '5', '6', '7', '8']);
    answers.forEach((answer, n) => console.log(`      ${n + 1}. ${answer}`));

    const demo = await load();
    let atlantis = '';
    for await (const piece of demo.generate(askPrompt('What is the capital of Atlantis?'))) atlantis += piece;
    assert.ok(answers[0].includes(`“${atlantis.trim()}”`), answers[0]);
    assert.match(answers[2], /^The largest of [1-9]\d* differences is [\d.]+e−([789]|1\d)\./);
    assert.match(answers[3], /^9\d\.\d % of it comes from “␣J”/);
    assert.match(answers[5], /^\d\d\.\d %, against \d\d\.\d % in the frozen table/);
    assert.match(answers[7], /^Yes: “Tokyo” on simd, “Tokyo” on the reference/);
  });

  it('is in the address: a copied link shows the same stop, Back returns, and it can be left', async () => {
    const page = await playground.open('#view=ask&tour=1');
    await page.getByRole('link', { name: 'Let the model answer' }).click();
    const said = await saidAt(page, 1);
    const copy = await playground.open(new URL(page.url()).hash);
    assert.equal(await saidAt(copy, 1), said);
    await page.goBack();
    await page.locator('[data-said]').waitFor({ state: 'detached' });
    await page.getByRole('link', { name: /The lens/ }).click();
    await page.getByRole('link', { name: 'Show this stop' }).click();
    await page.locator('[data-answer=" Tokyo"]').waitFor();
    await page.getByRole('link', { name: 'Leave the tour' }).click();
    await page.locator('[data-stop]').waitFor({ state: 'detached' });
    assert.equal(new URL(page.url()).hash, '#view=ask');
    const odd = await playground.open('#view=ask&tour=99');
    await odd.locator('[data-stop="8"]').waitFor();
  });

  it('axe-core finds nothing, and 360 px do not scroll sideways', async () => {
    const page = await playground.open('#view=ask&tour=1&answered=true', { reducedMotion: 'reduce' });
    await saidAt(page, 1);
    await assertManners(page);
  });
});
