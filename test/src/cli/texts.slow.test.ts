import assert from 'node:assert/strict';
import { cp, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { saveModel } from '../../../src/checkpoint/saveModel.js';
import { demoFolder, load } from '../../../src/load.js';
import type { LanguageModel } from '../../../src/languageModel.js';
import { emergent, emergentEach, type Outcome } from '../../support/cli.js';

const QUESTION = 'Question: What is the capital of Peru?\nAnswer: Lima</s>';

describe('texts on the command line', () => {
  let folder: string;
  let demo: LanguageModel;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'emergent-'));
    demo = await load();
    await writeFile(path('plain.txt'), QUESTION);
    await writeFile(path('mark.txt'), `\ufeff${QUESTION}`);
    await writeFile(path('utf16.txt'), Buffer.from(`\ufeff${QUESTION}`, 'utf16le'));
    await writeFile(path('latin1.txt'), Buffer.from(`São Tomé\n${QUESTION}`, 'latin1'));
    await writeFile(path('names.txt'), '\ufeffKenya\nPeru\nChad\n');
    await writeFile(path('names-latin1.txt'), Buffer.from('Kenya\nPerú\nChad\n', 'latin1'));
    await writeFile(path('binary.txt'), Buffer.from('Kenya\nPe\0ru\n'));
    await writeFile(path('empty.txt'), '');
  });
  after(() => rm(folder, { recursive: true }));

  const path = (name: string) => join(folder, name);

  it('are the same with a byte order mark, from a file and from standard input', async () => {
    const plain = await emergent(['perplexity', '--text', path('plain.txt')]);
    assert.match(plain.stdout, /^1\.\d+ over \d+ tokens\n$/);
    assert.deepEqual(await emergent(['perplexity', '--text', path('mark.txt')]), plain);
    assert.deepEqual(await emergent(['perplexity', '--text', '-'], `\ufeff${QUESTION}`), plain);
    const prompt = '\ufeffQuestion: What is the capital of Peru?\nAnswer:';
    assert.equal((await emergent(['generate', '-'], prompt)).stdout, ' Lima\n');
    assert.equal((await emergent(['generate', prompt])).stdout, ' Lima\n');
    const { stdout } = await emergent(['neighbors', 'Kenya', '--among', path('names.txt'), '--json', '--layer', '0']);
    const { layers } = JSON.parse(stdout) as { layers: { neighbors: { text: string }[] }[] };
    assert.deepEqual(layers[0].neighbors.map(({ text }) => text).sort(), ['Chad', 'Peru']);
  });

  const refused: [string[], string, RegExp][] = [
    [['perplexity', '--text', 'utf16.txt'], '', /utf16\.txt is UTF-16, not UTF-8; convert it with: iconv -f UTF-16 /],
    [['perplexity', '--text', 'latin1.txt'], '', /latin1\.txt is not UTF-8: byte 1 is 0xe3; if it is Latin-1, convert/],
    [['calibrate', '--text', 'binary.txt'], '', /binary\.txt is not plain text: byte 8 is NUL$/],
    [['neighbors', 'Kenya', '--among', 'names-latin1.txt'], '', /names-latin1\.txt is not UTF-8: byte 9 is 0xfa/],
    [['perplexity', '--text', '-'], 'a\0b', /^emergent: standard input is not plain text: byte 1 is NUL$/],
    [['ask', '-'], 'What\0', /^emergent: standard input is not plain text: byte 4 is NUL$/],
    [['perplexity', '--text', 'empty.txt'], '', /^emergent: perplexity needs a text of at least two tokens$/],
    [['perplexity', '--text', 'nothing.txt'], '', /nothing\.txt does not exist$/],
    [['perplexity', '--text', '.'], '', /cannot be read: EISDIR[^\n]*$/],
    [['perplexity', '--text', 'plain.txt', '--max-tokens', '1'], '', /--max-tokens[^\n]* an integer of at least 2\.$/],
    [['ask', '-'], '', /^emergent: the question is empty/],
    [['ask', '-'], ' \n\t\n', /^emergent: the question is empty/],
    [['ask', '-'], '\ufeff', /^emergent: the question is empty/],
    [['ask', ''], '', /^emergent: the question is empty/],
    [['ask', ' ', '\u3000'], '', /^emergent: the question is empty/],
    [['generate', '-'], '\n', /^emergent: the prompt is empty/],
    [['ask', 'caf\ufffd'], '', /^emergent: the text on the command line is not UTF-8/],
    [['generate', 'caf\ufffd'], '', /^emergent: the text on the command line is not UTF-8/],
    [
      ['logits', '--text', 'caf\ufffd', '--out', 'x.safetensors'],
      '',
      /^emergent: the text on the command line is not UTF-8/,
    ],
  ];
  describe('refused with exit 2', () => {
    let outcomes: Outcome[];
    before(async () => {
      outcomes = [];
      const run = async (start: number) => {
        for (let i = start; i < refused.length; i += 2)
          outcomes[i] = await emergent(refused[i][0], refused[i][1], folder);
      };
      await Promise.all([run(0), run(1)]);
    });
    for (const [i, [args, input, message]] of refused.entries()) {
      it(`${args.join(' ')}${input === '' ? '' : ` < ${JSON.stringify(input)}`}`, () => {
        const { code, stdout, stderr } = outcomes[i];
        assert.equal(code, 2, stderr);
        assert.equal(stdout, '');
        assert.match(stderr.trimEnd(), message);
        assert.equal(stderr.split('\n').length, 2, 'one line');
      });
    }
  });

  it('are read only as far as they are needed', async () => {
    await writeFile(path('large.txt'), `${QUESTION}\n`.repeat(40));
    const expected = await emergent(['perplexity', '--text', path('large.txt'), '--max-tokens', '64']);
    assert.match(expected.stdout, / over 63 tokens\n$/);
    await truncate(path('large.txt'), 2 ** 33); // zeros, which would be refused, and more than fits into memory
    await writeFile(path('large.txt'), `${QUESTION}\n`.repeat(1500), { flag: 'r+' });
    assert.deepEqual(await emergent(['perplexity', '--text', path('large.txt'), '--max-tokens', '64']), expected);
    const refusedLater = await emergent(['perplexity', '--text', path('large.txt'), '--max-tokens', '1000000']);
    assert.ok(
      refusedLater.stderr.endsWith(`large.txt is not plain text: byte ${1500 * (QUESTION.length + 1)} is NUL\n`),
    );
  });

  it('that are long are prompts by their end', async () => {
    const prompt = 'Question: What is the capital of Peru?\nAnswer:';
    const { stdout, stderr } = await emergent(
      ['generate', '-'],
      `${'Nonsense. '.repeat(300_000)}${QUESTION}\n${prompt}`,
    );
    assert.match(
      stderr,
      /^emergent: the prompt has over 1,048,576 characters; the model reads only the last 128 tokens\n/,
    );
    const short = await emergent(['generate', '-'], `${'Nonsense. '.repeat(300)}${QUESTION}\n${prompt}`);
    assert.equal(stdout, short.stdout);
  });

  describe('with a damaged model', () => {
    before(async () => {
      const { weights } = demo.model;
      const { data } = weights.embedding;
      const id = demo.tokenizer.encode('Question')[0];
      const damaged = {
        ...demo.model,
        weights: { ...weights, embedding: { ...weights.embedding, data: data.slice() } },
      };
      damaged.weights.embedding.data[id * demo.config.nEmbed] = NaN;
      await cp(demoFolder(), path('nan'), { recursive: true });
      await saveModel(path('nan'), damaged);
    });

    it('give one line and no number', async () => {
      const commands = [
        ['perplexity', '--text', path('plain.txt')],
        ['perplexity', '--json', '--text', path('plain.txt')],
        ['calibrate', '--text', path('plain.txt'), '--max-tokens', '16'],
        ['logit-lens', 'Question'],
        ['logit-lens', '--json', 'Question'],
        ['tour', 'Question'],
        ['neighbors', 'Question', '--among', path('names.txt')],
        ['neighbors', '--json', 'Question', '--among', path('names.txt')],
        ['generate', 'Question:'],
        ['ask', 'What is the capital of Peru?'],
      ];
      const outcomes = await emergentEach(commands.map((args) => [...args, '--model', path('nan')]));
      outcomes.forEach(({ code, stdout, stderr }, i) => {
        assert.deepEqual([code, stdout.trim()], [2, ''], commands[i].join(' '));
        assert.match(stderr, /^emergent: [^\n]+\n$/, commands[i].join(' '));
      });
    });
  });
});
