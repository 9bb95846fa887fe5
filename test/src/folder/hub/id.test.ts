import assert from 'node:assert/strict';
import { InputError } from '../../../../reference/lib/errors.js';
import { hubUrl, parseHubId } from '../../../../src/folder/hub/id.js';

describe('Hub ids', () => {
  it('name a model and optionally a revision', () => {
    const repo = 'Bochkov/emergent-semantics-model-64-float-272m';
    assert.deepEqual(parseHubId(repo), { repo, revision: 'main' });
    assert.deepEqual(parseHubId(`${repo}@v1.0`), { repo, revision: 'v1.0' });
    assert.deepEqual(parseHubId(repo, 'refs/pr/1'), { repo, revision: 'refs/pr/1' });
    assert.deepEqual(parseHubId(`${repo}@v1.0`, 'v1.0'), { repo, revision: 'v1.0' });
  });

  it('are not paths', () => {
    for (const path of [
      'demo',
      './demo',
      '/a/b',
      'a/b/c',
      '../b',
      'a/..',
      '~/b',
      'a\\b',
      'a/b ',
      'a/',
      '',
      'a//b',
      'a--b/c',
    ]) {
      assert.equal(parseHubId(path), null, path);
    }
    assert.equal(parseHubId(`a/${'b'.repeat(95)}`), null);
  });

  it('reject a revision that could lead out of the cache, and two different revisions', () => {
    for (const revision of [
      '',
      '..',
      '../x',
      'a/../../b',
      'a..b',
      '/etc',
      'a/',
      '.git',
      'a b',
      'a\n',
      'a:b',
      'a\\b',
      'x/./y',
    ]) {
      assert.throws(() => parseHubId('a/b', revision), InputError, revision);
      assert.throws(() => parseHubId(`a/b@${revision}`), InputError, revision);
    }
    assert.throws(() => parseHubId('a/b@v1', 'v2'), /"a\/b@v1" conflicts with the requested revision "v2"/);
  });

  it('are cut in messages, and shown without control codes', () => {
    const long = 'x'.repeat(100_000);
    const attempts = [
      () => parseHubId(`a/b@${long}`, 'v2'),
      () => parseHubId('a/b@v1', long),
      () => parseHubId('a/b', `${long} \u009b`),
      () => parseHubId('a/b', '\u009b2J'),
      () => hubUrl(`\u009b${long}`),
    ];
    for (const attempt of attempts) {
      assert.throws(attempt, ({ message }: InputError) => message.length < 400 && !/\p{Cc}/u.test(message));
    }
  });

  it('map to a URL', () => {
    assert.equal(hubUrl('a/b'), 'https://huggingface.co/a/b/resolve/main/');
    assert.equal(hubUrl('a/b', 'refs/pr/1'), 'https://huggingface.co/a/b/resolve/refs%2Fpr%2F1/');
    assert.equal(hubUrl('a/b@v1', undefined, 'http://localhost:1/'), 'http://localhost:1/a/b/resolve/v1/');
    assert.throws(() => hubUrl('demo'), /"demo" is not a Hugging Face Hub id such as org\/name/);
  });
});

describe('URLs of the Hub', () => {
  const MODELS: [string, string, string][] = [
    ['https://huggingface.co/org/name', 'org/name', 'main'],
    ['https://huggingface.co/org/name/', 'org/name', 'main'],
    ['http://huggingface.co/org/name', 'org/name', 'main'],
    ['HTTPS://HuggingFace.co/Org/Name', 'Org/Name', 'main'],
    [' https://www.huggingface.co/org/name\n', 'org/name', 'main'],
    ['huggingface.co/org/name', 'org/name', 'main'],
    ['hf.co/org/name', 'org/name', 'main'],
    ['hf.co/org/name@v1', 'org/name', 'v1'],
    ['https://huggingface.co/models/org/name', 'org/name', 'main'],
    ['https://huggingface.co/org/name/tree/v1', 'org/name', 'v1'],
    ['https://huggingface.co/org/name/tree', 'org/name', 'main'],
    ['https://huggingface.co/org/name/resolve/main/config.json?download=true', 'org/name', 'main'],
    ['https://huggingface.co/org/name/blob/v1.0/model.safetensors#L1', 'org/name', 'v1.0'],
    ['https://huggingface.co/org/name/raw/dev/config.json', 'org/name', 'dev'],
    ['https://huggingface.co/org/name/tree/refs%2Fpr%2F1', 'org/name', 'refs/pr/1'],
    ['https://huggingface.co/org/name/blob/refs/pr/12/config.json', 'org/name', 'refs/pr/12'],
    ['https://huggingface.co/org/name/tree/feature%2Fx', 'org/name', 'feature/x'],
    ['https://huggingface.co/org/name.git', 'org/name', 'main'],
    ['git@hf.co:org/name.git', 'org/name', 'main'],
    ['ssh://git@hf.co/org/name', 'org/name', 'main'],
    ['hf://org/name', 'org/name', 'main'],
    ['hf://Org/name@v1', 'Org/name', 'v1'],
    ['hf://models/org/name@refs/pr/1/config.json', 'org/name', 'refs/pr/1'],
    ['http://localhost:8080/hf/org/name/tree/v1', 'org/name', 'v1'],
    ['localhost:8080/hf/org/name', 'org/name', 'main'],
  ];
  const ENDPOINT = 'http://localhost:8080/hf/';
  for (const [url, repo, revision] of MODELS) {
    it(`name a model: ${url.trim()}`, () => {
      assert.deepEqual(parseHubId(url, undefined, ENDPOINT), { repo, revision });
    });
  }

  const OTHERS: [string, RegExp][] = [
    ['https://huggingface.co/datasets/org/name', /org\/name is a dataset, not a model;/],
    ['https://huggingface.co/spaces/org/name/tree/main', / is a Space, not a model;/],
    ['hf://datasets/org/name', / is a dataset, not a model;/],
    ['https://huggingface.co/org', / does not name a model;/],
    ['hf.co/org', / does not name a model;/],
    ['https://huggingface.co', / does not name a model;/],
    ['https://huggingface.co/org/name/tree/main/sub', / is not at the root of its model,/],
    ['https://huggingface.co/org/name/resolve/main/sub/config.json', / is not at the root of its model,/],
    ['hf://org/name@v1/sub/config.json', / is not at the root of its model,/],
    ['https://huggingface.co/org/name/discussions/1', / is not the page of a model or its files;/],
    ['https://huggingface.co/org/name/commit/abc', / is not the page of a model or its files;/],
    ['https://example.com/org/name', /^https:\/\/example\.com\/org\/name is not a page of the Hugging Face Hub;/],
    ['https://huggingface.co.example.com/org/name', / is not a page of the Hugging Face Hub;/],
    ['https://huggingface.co/a--b/c', /^"a--b\/c" is not the name of a model;/],
    ['https://huggingface.co/org/na%20me', /^"org\/na me" is not the name of a model;/],
    ['https://huggingface.co/org/name/tree/..%2Fx', /^"\.\.\/x" is not a valid revision/],
  ];
  for (const [url, message] of OTHERS) {
    it(`are refused with the right way named: ${url}`, () => {
      assert.throws(
        () => parseHubId(url),
        (error: Error) => {
          assert.ok(error instanceof InputError);
          assert.match(error.message, message);
          if (!error.message.endsWith('is not a valid revision')) assert.match(error.message, /org\/name@revision$/);
          return true;
        },
      );
    });
  }

  it('never show a secret', () => {
    for (const url of ['https://me:hf_secret@huggingface.co/org/name', 'https://example.com/x?token=hf_secret']) {
      assert.throws(
        () => parseHubId(url),
        (error: Error) => !error.message.includes('hf_secret'),
      );
    }
  });

  it('conflict with another revision', () => {
    const url = 'https://huggingface.co/org/name/tree/v1';
    assert.deepEqual(parseHubId(url, 'v1'), { repo: 'org/name', revision: 'v1' });
    assert.deepEqual(parseHubId('hf.co/org/name', 'v2'), { repo: 'org/name', revision: 'v2' });
    assert.throws(() => parseHubId(url, 'v2'), /"org\/name@v1" conflicts with the requested revision "v2"/);
  });

  it('map to the URL of the files', () => {
    assert.equal(hubUrl('hf.co/a/b/tree/v1'), 'https://huggingface.co/a/b/resolve/v1/');
  });
});
