import assert from 'node:assert/strict';
import { gzipSync } from 'node:zlib';
import { memorySource } from '../../../src/folder/byteSource.js';
import { readJson, type Folder } from '../../../src/folder/folder.js';
import { readSafetensors } from '../../../src/checkpoint/safetensors.js';
import { CheckpointError, ConfigError } from '../../../src/lib/errors.js';

const POINTER = `version https://git-lfs.github.com/spec/v1\noid sha256:${'0'.repeat(64)}\nsize 1091379200\n`;

const text = (contents: string): Uint8Array => new TextEncoder().encode(contents);

/** What the files begin with is from the specifications of their formats. */
const FOREIGN: [string, Uint8Array, RegExp][] = [
  ['a Git LFS pointer', text(POINTER), /this is a Git LFS pointer, .*git lfs pull/],
  ['a web page', text('<!DOCTYPE html>\n<html lang="en">'), /this is a web page/],
  ['a web page after space', text('\n\n  <html><head>'), /this is a web page/],
  ['a web page with a byte order mark', text('\ufeff<!doctype html>'), /this is a web page/],
  ['an XML error', text('<?xml version="1.0"?><Error>'), /this is a web page/],
  ['GGUF', Buffer.concat([text('GGUF'), Buffer.from([3, 0, 0, 0, 0, 0, 0, 0, 0])]), /this is a GGUF file/],
  [
    'a zip of PyTorch',
    Buffer.from('504b0304000008080000000000000000', 'hex'),
    /this is a zip archive.*emergent import/,
  ],
  ['an old file of PyTorch', Buffer.from('80028a0a6ce39c46f92068a9a6192e50', 'hex'), /this is a Python pickle/],
  ['a pickle of protocol 4', Buffer.from('8004951b000000000000007d', 'hex'), /this is a Python pickle/],
  ['gzip', gzipSync('{"a": 1}'), /this is compressed with gzip/],
];

function folderOf(bytes: Uint8Array): Folder {
  return {
    name: 'm',
    files: null,
    pathOf: (file) => `m/${file}`,
    open: (file) => Promise.resolve(memorySource(bytes, `m/${file}`)),
  };
}

function isOneLine(error: unknown, Fault: new (message: string) => Error, message: RegExp): boolean {
  return error instanceof Fault && message.test(error.message) && !error.message.includes('\n');
}

describe('well-known wrong contents', () => {
  for (const [what, bytes, message] of FOREIGN) {
    it(`are named: ${what}`, async () => {
      await assert.rejects(readSafetensors(memorySource(bytes, 'm/model.safetensors')), (error) =>
        isOneLine(error, CheckpointError, message),
      );
      for (const file of ['config.json', 'tokenizer.json']) {
        await assert.rejects(readJson(folderOf(bytes), file, ConfigError), (error) =>
          isOneLine(error, ConfigError, message),
        );
      }
    });
  }

  it('are not seen in a safetensors file whose header length looks like gzip or a pickle', async () => {
    for (const start of [
      [0x1f, 0x8b, 0x08, 0],
      [0x80, 0x02, 0x5d, 0],
    ]) {
      const length = Buffer.from(start).readUInt32LE();
      const file = Buffer.alloc(8 + length, ' ');
      file.writeBigUInt64LE(BigInt(length));
      file.write('{}', 8);
      assert.equal((await readSafetensors(memorySource(file))).tensors.size, 0);
    }
  });
});
