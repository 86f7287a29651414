import { expect, test } from 'vitest';
import { parseJobFile } from '#dist/bench/workloads/job-file.js';

test('sections, comments, globals that add up', () => {
  const file = parseJobFile(
    `
; the published comparison
[global]
bs=8k
ioengine=psync
norandommap
scheme=i-rwsem

[readers]
rw = randread
numjobs=8

[global]
# from here on
runtime=12

[writers]
rw=randwrite
bs=4k
`,
    'mixed.fio',
  );
  expect(file.global).toEqual({ bs: 8192, scheme: ['i-rwsem'], runtime: 12 });
  expect(file.jobs).toEqual([
    { name: 'readers', bs: 8192, scheme: ['i-rwsem'], rw: 'randread', numjobs: 8 },
    { name: 'writers', bs: 4096, scheme: ['i-rwsem'], runtime: 12, rw: 'randwrite' },
  ]);
});

test.each([
  ['[a]\nrw=read\nfoo=1', "x.fio:3: unknown option 'foo'"],
  ['[a]\nbs=8q', "x.fio:2: bs '8q' is no size"],
  ['rw=read\n[a]', "x.fio:1: 'rw=read' stands before the first section"],
  ['[a]\n\n[b', "x.fio:3: '[b' is no section"],
  ['[]', "x.fio:1: '[]' is no section"],
  ['[a]\nscheme=none', "x.fio:2: 'scheme' holds for all jobs; put it under [global]"],
  ['[global]\nbs=4k', 'x.fio: no job in it'],
  ['', 'x.fio: no job in it'],
])('%j names its line', (content, message) => {
  expect(() => parseJobFile(content, 'x.fio')).toThrow(message);
});
