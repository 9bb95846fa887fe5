import assert from 'node:assert/strict';
import * as v from 'valibot';
import type { Folder } from '../../../src/folder/folder.js';
import { readJson } from '../../../src/folder/folder.js';
import { isString } from '../../../src/lib/guards.js';
import { checkJson, mapOf, MAX_JSON, objectOf, parseJson } from '../../../src/lib/json.js';
import { ConfigError } from '../../../src/lib/errors.js';

const source = { path: 'a/config.json', Fault: ConfigError };

function refuses(run: () => unknown, message: RegExp): void {
  assert.throws(
    run,
    // eslint-disable-next-line no-control-regex -- no terminal code reaches the message
    (error) => error instanceof ConfigError && message.test(error.message) && !/[\u0000-\u001f]/.test(error.message),
  );
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const latin1 = (text: string): Uint8Array => Buffer.from(text, 'latin1');

describe('JSON files', () => {
  it('are UTF-8, with or without a byte order mark', () => {
    assert.deepEqual(parseJson(bytes('{"ä":"日本"}'), source), { ä: '日本' });
    assert.deepEqual(parseJson(bytes('\ufeff[1]'), source), [1]);
    assert.deepEqual(parseJson(bytes('7'), source), 7);
  });

  const faults: [string, Uint8Array, RegExp][] = [
    [
      'UTF-16, little-endian',
      Buffer.from('\ufeff{}', 'utf16le'),
      /^a\/config\.json is UTF-16, not UTF-8; convert it with: iconv -f UTF-16 -t UTF-8$/,
    ],
    ['UTF-16, big-endian', Buffer.from('\ufeff{}', 'utf16le').swap16(), /is UTF-16/],
    ['UTF-16 without a mark', Buffer.from('{}', 'utf16le'), /is UTF-16/],
    ['UTF-16, big-endian without a mark', Buffer.from('{}', 'utf16le').swap16(), /is UTF-16/],
    ['Latin-1', latin1('{"name":"K\xf6ln"}'), /is not UTF-8: byte 10 is 0xf6; if it is Latin-1,/],
    ['half of a surrogate pair', Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22), /is not UTF-8: byte 1 is 0xed/],
    ['zero bytes', bytes('{"a": \0}'), /is not plain text: byte 6 is NUL$/],
    ['a cut character', bytes('"日"').subarray(0, 3), /is not UTF-8: byte 1 is 0xe6/],
    ['cut JSON', bytes('{"a"'), /^a\/config\.json is not JSON: /],
    ['terminal codes', bytes('{"a": \u001b[31m\n}'), /is not JSON: /],
    ['100,000 brackets', bytes('['.repeat(100_000)), /nests lists or objects more than 64 deep$/],
    ['deep but complete', bytes('{"a":'.repeat(65) + '0' + '}'.repeat(65)), /more than 64 deep/],
    ['too many bytes', new Uint8Array(MAX_JSON + 1).fill(0x20), /is larger than 16 MiB/],
    ['nothing', bytes(''), /a\/config\.json: the file is empty/],
  ];
  for (const [what, file, message] of faults) {
    it(`are refused: ${what}`, () => refuses(() => parseJson(file, source), message));
  }

  it('may nest as deep as the limit, and contain any number of brackets in strings', () => {
    assert.ok(parseJson(bytes('['.repeat(64) + ']'.repeat(64)), source));
    assert.equal(parseJson(bytes(`"${'['.repeat(1000)}"`), source), '['.repeat(1000));
  });

  it('are not read if they are too large', async () => {
    let closed = 0;
    const folder: Folder = {
      name: 'a',
      files: null,
      pathOf: (file) => `a/${file}`,
      open: (file) =>
        Promise.resolve({
          name: file,
          size: 2 ** 40,
          readInto: () => Promise.reject(new Error('was read')),
          close: () => {
            closed++;
            return Promise.resolve();
          },
        }),
    };
    await assert.rejects(readJson(folder, 'x.json', ConfigError), /^ConfigError: a\/x\.json is larger than 16 MiB/);
    assert.equal(closed, 1);
  });
});

describe('JSON schemas', () => {
  const schema = objectOf(
    { a: v.optional(objectOf({ b: v.string('must be a string') }, 'must be an object')) },
    'must be a JSON object',
  );

  it('name the place, the fault and the value', () => {
    assert.deepEqual(checkJson(schema, { a: { b: 'x', c: 1 }, constructor: 2 }, source), {
      a: { b: 'x', c: 1 },
      constructor: 2,
    });
    refuses(() => checkJson(schema, [], source), /^a\/config\.json: it must be a JSON object, got \[\]$/);
    refuses(() => checkJson(schema, { a: null }, source), /^a\/config\.json: "a" must be an object, got null$/);
    refuses(() => checkJson(schema, { a: {} }, source), /^a\/config\.json: "a\.b" is missing$/);
    refuses(
      () => checkJson(schema, { a: { b: [['\u001b']] } }, source),
      /: "a\.b" must be a string, got \[\["\\u001b"\]\]$/,
    );
  });

  it('check every entry of a map, whatever it is called', () => {
    const map = mapOf(isString, 'must map strings to strings');
    for (const key of ['x', 'constructor', 'prototype', '__proto__', '']) {
      const json = JSON.parse(`{"${key}": 1}`) as unknown;
      refuses(() => checkJson(map, json, source), /it must map strings to strings/);
    }
  });
});
