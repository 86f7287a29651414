import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { parseAddress, parsePlace } from '#dist/src/cli/address.js';
import { temporaryDirectory } from '../support/temporary.js';

const directory = temporaryDirectory();
const image = join(directory, 'disk.img');
const colons = join(directory, 'pci:0:1.img');

beforeAll(() => {
  writeFileSync(image, '');
  writeFileSync(colons, '');
});

test('the device is what exists before a colon, the name is all the rest', () => {
  expect(parseAddress(`${image}:logs/a:b`)).toEqual({ device: image, name: 'logs/a:b' });
  expect(parseAddress(`${colons}:x`)).toEqual({ device: colons, name: 'x' });
});

test('a missing device is the part before the first colon', () => {
  expect(parseAddress('no.img:a:b')).toEqual({ device: 'no.img', name: 'a:b' });
});

test('an address needs a device and a name', () => {
  expect(() => parseAddress('name')).toThrow("'name' is no DEVICE:NAME");
  expect(() => parseAddress(':name')).toThrow('no DEVICE:NAME');
  expect(() => parseAddress(`${image}:`)).toThrow('names no file');
});

test('a place is a pipe, a store or a host path', () => {
  expect(parsePlace('-')).toEqual({ kind: 'pipe' });
  expect(parsePlace('plain')).toEqual({ kind: 'host', path: 'plain' });
  expect(parsePlace(`${image}:`)).toEqual({ kind: 'store', device: image, name: '' });
  expect(parsePlace('missing.img:name')).toEqual({ kind: 'store', device: 'missing.img', name: 'name' });
});

test('an existing host file keeps its colons', () => {
  expect(parsePlace(colons)).toEqual({ kind: 'host', path: colons });
});
