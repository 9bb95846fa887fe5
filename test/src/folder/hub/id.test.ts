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
    assert.throws(() => parseHubId('a/b@v1', 'v2'), /a\/b@v1 conflicts with the requested revision "v2"/);
  });

  it('map to a URL', () => {
    assert.equal(hubUrl('a/b'), 'https://huggingface.co/a/b/resolve/main/');
    assert.equal(hubUrl('a/b', 'refs/pr/1'), 'https://huggingface.co/a/b/resolve/refs%2Fpr%2F1/');
    assert.equal(hubUrl('a/b@v1', undefined, 'http://localhost:1/'), 'http://localhost:1/a/b/resolve/v1/');
    assert.throws(() => hubUrl('demo'), /"demo" is not a Hugging Face Hub id such as org\/name/);
  });
});
