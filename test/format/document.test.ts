/** The byte tables of docs/on-disk-format.md against the offsets in the code. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as blockHeader from '#dist/src/format/block-header.js';
import * as extentNode from '#dist/src/format/extent-node.js';
import * as inodeRecord from '#dist/src/format/inode-record.js';
import * as journalHead from '#dist/src/format/journal-head.js';
import * as journalRecord from '#dist/src/format/journal-record.js';
import * as nameNode from '#dist/src/format/name-node.js';
import * as superblock from '#dist/src/format/superblock.js';

interface Row {
  offset: number;
  /** Undefined where the field reaches to the block's end. */
  bytes: number | undefined;
  field: string;
}

const document = readFileSync(new URL('../../docs/on-disk-format.md', import.meta.url), 'utf8');

/** The tables of a section that have an offset column, in order. */
function tablesOf(section: string): Row[][] {
  const text = document.split(`\n## ${section}\n`)[1]?.split('\n## ')[0] ?? '';
  const tables: Row[][] = [];
  let table: Row[] | null = null;
  for (const line of text.split('\n')) {
    if (line.startsWith('| offset |')) {
      table = [];
      tables.push(table);
    } else if (!line.startsWith('|')) {
      table = null;
    } else if (table !== null && !line.startsWith('| ---')) {
      const [, offset, bytes, field] = line.split('|').map((cell) => cell.trim());
      table.push({ offset: Number(offset), bytes: bytes === '' ? undefined : Number(bytes), field: field! });
    }
  }
  return tables;
}

/** Field names and offsets of an enum that a module of the code exports, its end left out. */
function fieldsOf(codec: object, name: string): [string, number][] {
  const offsets = (codec as Record<string, object>)[name]!;
  return Object.entries(offsets)
    .filter((entry): entry is [string, number] => typeof entry[1] === 'number' && entry[0] !== 'End')
    .map(([field, offset]) => [field.charAt(0).toLowerCase() + field.slice(1), offset]);
}

const { HEADER_BYTES, HEADER_WORDS } = blockHeader;
const { ENTRY_BYTES, ENTRY_WORDS, NODE_ENTRIES_WORD } = extentNode;
const { INODE_RECORD_BYTES, ROOT_CAPACITY } = inodeRecord;

interface Structure {
  section: string;
  /** Which of the section's tables. */
  table: number;
  codec: object;
  offsets: string;
  start: number;
  end?: number;
}

const structures: Structure[] = [
  {
    section: 'Superblock',
    table: 0,
    codec: superblock,
    offsets: 'SuperblockAt',
    start: 0,
    end: superblock.SUPERBLOCK_BYTES,
  },
  { section: 'Block header', table: 0, codec: blockHeader, offsets: 'HeaderAt', start: 0, end: HEADER_BYTES },
  { section: 'Inode table', table: 0, codec: inodeRecord, offsets: 'InodeAt', start: 0, end: INODE_RECORD_BYTES },
  { section: 'Inode table', table: 1, codec: inodeRecord, offsets: 'WorkAt', start: 0, end: 16 },
  { section: 'Extent tree', table: 0, codec: extentNode, offsets: 'ExtentNodeAt', start: HEADER_BYTES },
  { section: 'Extent tree', table: 1, codec: extentNode, offsets: 'ExtentEntryAt', start: 0, end: ENTRY_BYTES },
  { section: 'Name tree', table: 0, codec: nameNode, offsets: 'NameNodeAt', start: HEADER_BYTES },
  { section: 'Name tree', table: 1, codec: nameNode, offsets: 'NameCellAt', start: 0 },
  { section: 'Journal', table: 0, codec: journalHead, offsets: 'JournalHeadAt', start: 0 },
  { section: 'Journal', table: 1, codec: journalRecord, offsets: 'JournalRecordAt', start: 0 },
  { section: 'Journal', table: 2, codec: journalRecord, offsets: 'DescriptorEntryAt', start: 0, end: 12 },
  { section: 'Journal', table: 3, codec: journalRecord, offsets: 'CommitAt', start: 32 },
];

describe('the format document', () => {
  it.each(structures)(
    '$section, $offsets: the same fields at the same offsets',
    ({ section, table, codec, offsets }) => {
      const rows = tablesOf(section)[table] ?? [];
      expect(rows.map(({ field, offset }) => [field, offset])).toEqual(fieldsOf(codec, offsets));
    },
  );

  it.each(structures)('$section, $offsets: no gap and no overlap', ({ section, table, start, end }) => {
    let next: number | undefined = start;
    for (const { offset, bytes, field } of tablesOf(section)[table] ?? []) {
      expect(offset, field).toBe(next);
      next = bytes === undefined ? undefined : offset + bytes;
    }
    expect(next).toBe(end);
  });

  it('covers every table there is', () => {
    const inDocument = document.split('\n').filter((line) => line.startsWith('| offset |')).length;
    expect(inDocument).toBe(structures.length);
  });

  it('agrees with the constants that are derived from the offsets', () => {
    expect(HEADER_WORDS * 4).toBe(HEADER_BYTES);
    expect(ENTRY_WORDS * 4).toBe(ENTRY_BYTES);
    expect(NODE_ENTRIES_WORD * 4).toBe(extentNode.ExtentNodeAt.Entries);
    expect(inodeRecord.InodeAt.Work - inodeRecord.InodeAt.RootEntries).toBe(ROOT_CAPACITY * ENTRY_BYTES);
    expect(nameNode.nameNodeRoom(4096)).toBe(4096 - nameNode.NameNodeAt.Slots);
    expect(nameNode.nameCellBytes(7)).toBe(2 + nameNode.NameCellAt.Name + 7);
    expect(superblock.SuperblockAt.InodeTableRecord + INODE_RECORD_BYTES).toBe(superblock.SuperblockAt.Rest);
  });
});
