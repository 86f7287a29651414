/** The picture of a schedule in a real browser, Debian's Chromium: it loads without a complaint, and the keyboard reaches a step. */
import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { drawPicture, replay } from '#dist/src/explore.js';

const CHROMIUM = '/usr/bin/chromium';
const isThere = existsSync(CHROMIUM);
const START_MS = 60_000;

describe.skipIf(!isThere)(`in a browser${isThere ? '' : ` (skipped: no ${CHROMIUM})`}`, () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: ['--no-sandbox', '--disable-gpu'],
      timeout: START_MS,
    });
  }, START_MS);
  afterAll(() => browser?.close());

  it.each([
    ['1:none:punch-read:A5B', { width: 1280, height: 900 }],
    ['1:gfs2:callback-two-writes:AbB', { width: 390, height: 800 }],
  ])('%s', { timeout: START_MS }, async (schedule, viewport) => {
    const replayed = replay(schedule);
    const page = await browser.newPage({ viewport });
    const complaints: string[] = [];
    const requests: string[] = [];
    page.on('console', (message) => complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('request', (request) => requests.push(request.url()));
    await page.setContent(drawPicture(replayed));

    const lanes = await page.locator('.lane').evaluateAll((all) => all.map((lane) => lane.getAttribute('aria-label')));
    expect(lanes).toEqual(replayed.scenario.threads.map(({ name }) => `thread ${name}`));
    expect(await page.locator('.steps .event').count()).toBe(replayed.events.length);
    const mark = await page.locator('.steps .failure').boundingBox();
    const last = await page.locator('.steps .event[href="#step-1"]').boundingBox();
    expect(mark!.height).toBeGreaterThan(100);
    expect(mark!.x).toBeGreaterThan(last!.x);
    // Only the drawing scrolls sideways.
    expect(await page.evaluate('document.documentElement.scrollWidth - innerWidth')).toBeLessThanOrEqual(0);

    await page.locator('.steps .event[href="#step-3"]').focus();
    await page.keyboard.press('Enter');
    const shown = page.locator('#step-3');
    expect(await page.evaluate("getComputedStyle(document.querySelector('#step-3')).position")).toBe('fixed');
    const { file, line } = replayed.events[2].source!;
    expect(await shown.textContent()).toContain(`${file}:${line}`);
    expect({ complaints, requests }).toEqual({ complaints: [], requests: [] });
    await page.close();
  });
});
