/** `compare --report`: a real, short comparison, and its page in Debian's Chromium. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { emmental } from '../../cli/emmental.js';
import { temporaryDirectory } from '../../support/temporary.js';

const CHROMIUM = '/usr/bin/chromium';
const isThere = existsSync(CHROMIUM);
const START_MS = 60_000;
const directory = temporaryDirectory(true);
const path = join(directory, 'report.html');

interface Raw {
  jobs: { scheme: string; read: { iops_log: number[] } }[];
  storms: { kind: string; clat_ns: { N: number } }[];
  comparison: { verdict: string[]; schemes: { scheme: string }[] };
  environment: Record<string, string>;
  intervals: { scheme: string; intervals: { lengthMs: number; reads: number; strikes: Record<string, number> }[] }[];
  over_threads: Record<string, { threads: number; readsPerSecond: number }[]>;
  lock_times: Record<string, { locks: Record<string, { hold: [number, number][] }> }>;
}

let html = '';
beforeAll(async () => {
  const { code, stderr } = await emmental(
    [
      ...['compare', '--readers=2', '--writers=2', '--bs=8k', '--size=16m', '--runtime=0.4', '--ramp_time=0.1'],
      ...['--repeats=1', '--punch=20/s', '--truncate=10/s', `--report=${path}`],
    ],
    { env: { TMPDIR: directory, GLIBC_TUNABLES: 'glibc.malloc.hugetlb=0' } },
  );
  expect({ code, said: stderr.includes(`report: ${path}`) }).toEqual({ code: 0, said: true });
  html = readFileSync(path, 'utf8');
}, 3 * START_MS);

const jsonIn = (id: string) =>
  JSON.parse(new RegExp(`<script type="application/json" id="${id}">(.*?)</script>`, 's').exec(html)![1]) as unknown;

describe('what a report holds', () => {
  it('the figures of the comparison, of the tenths of seconds, of the threads and of the locks', () => {
    const raw = jsonIn('raw-data') as Raw;
    expect(raw.jobs.map(({ scheme }) => scheme)).toEqual(['invalidate-lock', 'invalidate-lock', 'i-rwsem', 'i-rwsem']);
    expect(raw.comparison.verdict[0]).toContain('Verdict: under invalidate-lock');
    for (const scheme of ['invalidate-lock', 'i-rwsem']) {
      const points = raw.over_threads[scheme];
      expect(points.map(({ threads }) => threads)).toEqual([2, 4]);
      for (const { readsPerSecond } of points) expect(readsPerSecond).toBeGreaterThan(0);
      const { hold } = raw.lock_times[scheme].locks.i_rwsem;
      expect(hold.length).toBeGreaterThan(0);
    }
    for (const { intervals } of raw.intervals) {
      for (const { lengthMs } of intervals) expect(lengthMs).toBeGreaterThan(0);
    }
    expect(raw.intervals.flatMap(({ intervals }) => intervals).some(({ reads }) => reads > 0)).toBe(true);
    expect(raw.storms.every(({ clat_ns }) => clat_ns.N > 0)).toBe(true);
    expect(Object.keys(raw.environment)).toEqual(
      expect.arrayContaining(['Command', 'Node.js', 'Processor', 'Memory', 'System', 'Device', 'I/O']),
    );
  });

  it('asks the network for nothing', () => {
    const outside = html.replace(/<script.*?<\/script>/gs, '').match(/(?:src|href)="(?!data:|#)[^"]*"/g);
    expect(outside).toEqual(['href="https://github.com/leeoniya/uPlot"']);
    expect(html).toContain(`content="default-src 'none';`);
  });

  it('is refused before anything runs where it could not be written', async () => {
    const { code, stderr } = await emmental(['compare', `--report=${directory}/no/such.html`]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^emmental: the report '.*such\.html' cannot be written: .*\n$/);
  });
});

describe.skipIf(!isThere)(`its page in a browser${isThere ? '' : ` (skipped: no ${CHROMIUM})`}`, () => {
  let browser: Browser;
  beforeAll(async () => {
    const args = ['--no-sandbox', '--disable-gpu'];
    browser = await chromium.launch({ executablePath: CHROMIUM, args, timeout: START_MS });
  }, START_MS);
  afterAll(() => browser?.close());

  async function opened(colorScheme: 'light' | 'dark', width: number) {
    const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
    const complaints: string[] = [];
    const requests: string[] = [];
    page.on('console', (message) => complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('request', (request) => requests.push(request.url()));
    await page.goto(`file://${path}`);
    return { page, complaints, requests: () => requests.filter((url) => !url.startsWith('data:')) };
  }

  /** How many pixels of each plot have a colour of their own: those of lines, marks and names, and no greys. */
  const colouredPixels = (page: Page) =>
    page.evaluate(`[...document.querySelectorAll('figure canvas')].map((canvas) => {
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      let coloured = 0;
      for (let i = 0; i < data.length; i += 4) {
        const [r, g, b, a] = data.slice(i, i + 4);
        if (a > 128 && Math.max(r, g, b) - Math.min(r, g, b) > 60) coloured++;
      }
      return coloured;
    })`) as Promise<number[]>;

  it.each([
    ['light', 1280],
    ['dark', 1280],
    ['light', 390],
  ] as const)('%s, %i wide', { timeout: START_MS }, async (colorScheme, width) => {
    const { page, complaints, requests } = await opened(colorScheme, width);
    const titles = await page.locator('section h2').allTextContents();
    expect(titles).toEqual([
      'Throughput over threads',
      'Throughput over time',
      'Latency',
      'Waiting for locks, and holding them',
      'Hit rates',
      'Environment',
      'All figures',
    ]);
    expect(await page.locator('.verdict p').first().textContent()).toMatch(/^Under invalidate-lock, reads are /);
    const pixels = await colouredPixels(page);
    expect(pixels).toHaveLength(await page.locator('figure').count());
    for (const coloured of pixels) expect(coloured).toBeGreaterThan(100);
    const [ground, ink] = (await page.evaluate(
      '["backgroundColor", "color"].map((name) => getComputedStyle(document.body)[name].match(/\\d+/g)[0])',
    )) as string[];
    expect(Number(ground) > Number(ink)).toBe(colorScheme === 'light');
    // Tables scroll by themselves.
    expect(await page.evaluate('document.documentElement.scrollWidth - innerWidth')).toBeLessThanOrEqual(0);
    expect({ complaints, requests: requests() }).toEqual({ complaints: [], requests: [`file://${path}`] });
    await page.close();
  });

  it('is read with the keyboard, and gives its figures away', { timeout: START_MS }, async () => {
    const { page } = await opened('light', 800);
    const focused = () =>
      page.evaluate(`(() => { const { tagName, id, className } = document.activeElement;
        return tagName + (id && '#' + id) + (className && '.' + className); })()`);
    const figures = await page.locator('figure').count();
    const reached: unknown[] = [];
    for (let i = 0; i < figures + 4; i++) {
      await page.keyboard.press('Tab');
      reached.push(await focused());
    }
    const figureNames = Array.from({ length: figures }, () => 'FIGURE');
    expect(reached).toEqual(['DIV.scroll', ...figureNames, 'A#download.button', 'DIV.scroll', 'DIV.scroll']);
    expect(await page.evaluate('getComputedStyle(document.activeElement).outlineStyle')).toBe('solid');

    const figure = page.locator('#latency figure').first();
    await figure.focus();
    await page.keyboard.press('Home');
    const first = await figure.locator('output').textContent();
    expect(first).toMatch(/^0%: invalidate-lock \S+ [nµm]s, i-rwsem \S+ [nµm]s$/);
    await page.keyboard.press('PageUp');
    expect(await figure.locator('output').textContent()).toMatch(/^68\.4%: /);

    const download = page.waitForEvent('download');
    await page.locator('#download').click();
    const saved = await (await download).path();
    expect(JSON.parse(readFileSync(saved, 'utf8'))).toEqual(jsonIn('raw-data'));
    await page.close();
  });
});
