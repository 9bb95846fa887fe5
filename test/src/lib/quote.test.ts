import assert from 'node:assert/strict';
import fc from 'fast-check';
import { foreignMessage, plain, quote, visibleText } from '../../../src/lib/quote.js';

function nested(depth: number, wrap: (value: unknown) => unknown): unknown {
  let value: unknown = 0;
  for (let i = 0; i < depth; i++) value = wrap(value);
  return value;
}

describe('quote', () => {
  it('formats short values as JSON', () => {
    const ascii = fc.string({ unit: 'grapheme-ascii' });
    const short = fc.jsonValue({ stringUnit: 'grapheme-ascii' }).filter((value) => JSON.stringify(value).length <= 100);
    fc.assert(
      fc.property(
        fc.oneof(
          short,
          ascii.filter((text) => text.length < 40),
        ),
        (value) => {
          assert.equal(quote(value), JSON.stringify(value));
        },
      ),
    );
  });

  it('cuts long values after 100 characters of their JSON', () => {
    const long = [
      'x'.repeat(101),
      Array.from({ length: 1000 }, (_, i) => i),
      Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`key ${i}`, { i }])),
      [['a'.repeat(60)], 'b'.repeat(60)],
    ];
    for (const value of long) assert.equal(quote(value), `${JSON.stringify(value).slice(0, 99)}…`);
  });

  it('takes values of any depth and size, and those that contain themselves', () => {
    const itself: unknown[] = [];
    itself.push(itself, { itself });
    const hostile = [
      nested(200_000, (value) => [value]),
      nested(200_000, (value) => ({ a: value })),
      'x'.repeat(2 ** 28),
      new Array(2 ** 25).fill(0),
      itself,
    ];
    const start = performance.now();
    for (const value of hostile) assert.ok(quote(value).length <= 100);
    assert.ok(performance.now() - start < 5000, 'a preview does not visit the whole value');
  });

  it('formats what JSON has no word for', () => {
    const values = [undefined, NaN, -Infinity, 10n, Symbol('s')];
    assert.deepEqual(values.map(quote), ['undefined', 'NaN', '-Infinity', '10', 'Symbol(s)']);
  });

  it('shows control characters escaped', () => {
    assert.equal(quote('\u001b[31m'), '"\\u001b[31m"');
    assert.equal(quote({ 'a\u202e': '\u009b' }), '{"a\\u{202e}":"\\u{9b}"}');
    assert.equal(plain('a\nb'), '"a\\nb"');
    assert.equal(foreignMessage(new Error(`a\nb${'c'.repeat(1000)}`)), `a\\u{a}b${'c'.repeat(196)}…`);
  });

  it('leaves the characters of texts as they are, and escapes what a terminal would run', () => {
    const texts = ['a\tb\nc', 'می\u200cخواهم', 'क्\u200dष', '👩\u200d🚀', 'caf\u00ad\u00e9', '\ue000\uffff'];
    for (const text of texts) assert.equal(visibleText(text), text);
    const hostile = ['\r', '\u001b', '\u007f', '\u009b', '\u2028', '\u202e', '\u2066', '\ud800', '\u0000'];
    for (const text of hostile) assert.equal(visibleText(text), `\\u{${text.charCodeAt(0).toString(16)}}`);
  });
});
