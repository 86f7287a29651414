/** The picture of a schedule: what its lanes and rows say, and that its page stands alone, whatever the schedule says. */
import { describe, expect, it } from 'vitest';
import { causeOf } from '#dist/src/explore/picture-account.js';
import { placeBars } from '#dist/src/explore/picture-drawing.js';
import { type Bar, lanesOf } from '#dist/src/explore/picture-lanes.js';
import { stateRows } from '#dist/src/explore/picture-states.js';
import { drawPicture, type Replayed, replay } from '#dist/src/explore.js';

const STALE = '1:none:punch-read:A5B';
const DEADLOCK = '1:gfs2:callback-two-writes:AbB';

/** What the lanes must agree with, asked of each event by itself. */
function covered(bars: readonly Bar[], kind: Bar['kind'], name: string, step: number): boolean {
  return bars.some((bar) => bar.kind === kind && bar.name === name && bar.from <= step && step <= bar.to);
}

describe.each([STALE, DEADLOCK, '1:invalidate-lock:punch-read:A5B', '1:none:reuse-mkwrite:A5BhA'])('%s', (schedule) => {
  const replayed = replay(schedule);
  const lanes = lanesOf(replayed);

  it('has a lane for each thread, with all its events', () => {
    expect(lanes.map(({ name }) => name)).toEqual(replayed.scenario.threads.map(({ name }) => name));
    expect(lanes.flatMap(({ events }) => events)).toHaveLength(replayed.events.length);
  });

  it('has bars for what is held and waited for, and no others', () => {
    for (const { events, bars } of lanes) {
      for (const { step, held, waitsFor } of events) {
        for (const { lock, mode } of held) expect(covered(bars, mode, lock, step)).toBe(true);
        if (waitsFor !== null) expect(covered(bars, 'wait', waitsFor, step)).toBe(true);
        const locks = bars.filter(({ kind, from, to }) => isLock(kind) && from <= step && step <= to);
        expect(locks.map(({ name }) => name).sort()).toEqual([...new Set(held.map(({ lock }) => lock))].sort());
        expect(bars.some(({ kind, from, to }) => kind === 'wait' && from <= step && step <= to)).toBe(
          waitsFor !== null,
        );
      }
    }
  });

  it('puts no two bars on top of each other', () => {
    for (const { bars } of lanes) {
      const placed = placeBars(bars);
      for (const a of placed) {
        const others = placed.filter((b) => b !== a && b.track === a.track);
        expect(others.every((b) => b.bar.from > a.bar.to || b.bar.to < a.bar.from)).toBe(true);
      }
    }
  });

  it('is a page that needs nothing else', () => {
    const html = drawPicture(replayed);
    expect(html).not.toMatch(/https?:|<script|\ssrc=|@import|url\((?!#)|\son\w+=/i);
    expect(html.match(/<g class="lane /g)).toHaveLength(replayed.scenario.threads.length);
    expect(html.match(/<g class="failure" role/g) ?? []).toHaveLength(replayed.failure === null ? 0 : 1);
    for (const { step, source } of replayed.events) {
      expect(html).toContain(`href="#step-${step}"`);
      if (source !== null) expect(html).toContain(`${source.file}:${source.line}`);
    }
  });
});

it('ends a hold where the lock is given back, and a wait where the thread goes on', () => {
  const [punch] = lanesOf(replay(STALE));
  const hold = punch.bars.find(({ name }) => name === 'i_rwsem of victim')!;
  const taken = punch.events.find(({ held }) => held.length > 0)!;
  const end = punch.events.find(({ effect }) => effect === 'end')!;
  expect(hold).toEqual({
    kind: 'exclusive',
    name: 'i_rwsem of victim',
    from: taken.step,
    to: end.step - 1,
    isOpen: false,
  });
  const waits = lanesOf(replay(DEADLOCK)).map(({ bars }) => bars.filter(({ kind }) => kind === 'wait').at(-1));
  expect(waits).toMatchObject([
    { name: 'invalidate_lock of right', isOpen: true },
    { name: 'invalidate_lock of left', isOpen: true },
  ]);
});

it('shows a block being given up while the cache keeps its bytes', () => {
  const rows = stateRows(replay(STALE));
  const page = rows.find(({ name }) => name === 'victim page 1')!;
  const block = rows.find(({ kind }) => kind === 'block')!;
  expect(page.spans.map(({ text }) => text)).toEqual(['being filled, locked', 'victim 1 v1']);
  expect(block.spans.map(({ tone, file }) => [tone, file])).toEqual([
    ['data', 'victim'],
    ['free', null],
  ]);
});

it('says why, with the steps of the race in their order', () => {
  const cause = causeOf(replay(STALE)).join(' ');
  const steps = [...cause.matchAll(/at step (\d+)/g)].map(([, step]) => Number(step));
  expect(steps).toHaveLength(3);
  expect(steps).toEqual([...steps].sort((a, b) => a - b));
  expect(cause).toMatch(/^punch had dropped the page .* read looked up the old block .* punch took it away/);
});

it('escapes what the schedule says', () => {
  const evil = `"><script>alert('x')</script>&`;
  const replayed = replay(STALE);
  const strange: Replayed = {
    ...replayed,
    scheme: evil,
    schedule: evil,
    failure: { kind: 'stale', message: evil, step: 3 },
    scenario: {
      ...replayed.scenario,
      name: evil,
      description: evil,
      files: [{ name: evil, pages: 1 }],
      threads: replayed.scenario.threads.map((thread) => ({ ...thread, name: evil })),
    },
    events: replayed.events.map((event) => ({
      ...event,
      threadName: evil,
      target: evil,
      held: [{ lock: evil, mode: 'shared' }],
      waitsFor: evil,
      source: { file: evil, line: 1, function: evil },
      stack: [{ file: evil, line: 1, function: evil }],
      pages: [{ file: evil, page: 0, frame: 1, flags: [evil], pins: 0, content: evil, block: 7 }],
      blocks: [{ block: 7, owner: evil, content: evil }],
    })),
  };
  const html = drawPicture(strange);
  expect(html).not.toContain('<script');
  expect(html).not.toMatch(/"">|'x'/);
  expect(html).toContain('&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;');
});

function isLock(kind: Bar['kind']): boolean {
  return kind === 'shared' || kind === 'exclusive' || kind === 'mutex';
}
