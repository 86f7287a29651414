import { expect, test } from 'vitest';
import { type OptionValues, setOption } from '#dist/bench/workloads/option-table.js';

function parse(name: string, value?: string): unknown {
  const values: OptionValues = {};
  setOption(values, name, value);
  return Object.values(values)[0];
}

test.each([
  ['rw', 'randrw', 'randrw'],
  ['readwrite', 'randread', 'randread'],
  ['rw', 'readwrite', 'rw'],
  ['bs', '8k', 8192],
  ['blocksize', '4096', 4096],
  ['size', '1g', 1024 ** 3],
  ['runtime', '10', 10],
  ['runtime', '2m', 120],
  ['ramp_time', '500ms', 0.5],
  ['rwmixread', '70', 70],
  ['random_distribution', 'random', { kind: 'random' }],
  ['random_distribution', 'zipf:1.2', { kind: 'zipf', theta: 1.2 }],
  ['random_distribution', 'zipf', { kind: 'zipf', theta: 1.1 }],
  ['verify', 'crc32c', 'crc32c'],
  ['verify', '0', 'none'],
  ['time_based', undefined, true],
  ['time_based', '0', false],
  ['punch', '100/s', 100],
  ['willneed', '2.5', 2.5],
  ['scheme', 'a, b', ['a', 'b']],
  ['policy', 'reader-preferring', 'reader-preferring'],
  ['output-format', 'json+', 'json+'],
  ['dirty_ratio', '0.5', 0.5],
  ['commit_interval', '1h', 3600],
])('%s=%s', (name, value, expected) => {
  expect(parse(name, value)).toEqual(expected);
});

test.each([
  ['rw', 'trim', 'rw must be one of read, write'],
  ['bs', '0', 'bs must not be 0'],
  ['bs', 'x', "bs 'x' is no size"],
  ['rwmixread', '101', 'rwmixread must be a whole number from 0 to 100'],
  ['numjobs', '0', 'numjobs must be a whole number from 1'],
  ['numjobs', '1.5', 'numjobs must be a whole number'],
  ['runtime', '10x', "runtime '10x' is no time"],
  ['random_distribution', 'zipf:1', 'random_distribution must be'],
  ['random_distribution', 'zipf:', 'random_distribution must be'],
  ['random_distribution', 'pareto:0.5', 'random_distribution must be'],
  ['punch', 'often', "punch 'often' is no rate"],
  ['dirty_ratio', '1.1', 'dirty_ratio must be'],
  ['scheme', 'a,,b', 'empty name'],
  ['time_based', 'yes', 'time_based is on (1) or off (0)'],
  ['size', undefined, "option 'size' needs a value"],
  ['nosuch', '1', "unknown option 'nosuch'"],
  ['constructor', '1', "unknown option 'constructor'"],
])('%s=%s is refused', (name, value, message) => {
  expect(() => parse(name, value)).toThrow(message);
});

test("fio's options that are always so here are taken, and refused with another value", () => {
  expect(parse('ioengine', 'psync')).toBeUndefined();
  expect(parse('norandommap')).toBeUndefined();
  expect(() => parse('ioengine', 'libaio')).toThrow('ioengine=libaio is not to be had: each thread has one');
  expect(() => parse('direct', '1')).toThrow('direct=1 is not to be had');
});
