import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { Connection } from '../../src/folder/hub/connection.js';
import { openHubFolder } from '../../src/folder/hub/hubFolder.js';
import { parseHubId } from '../../src/folder/hub/id.js';
import { bytesOf, mutateJson, pick, type Random } from './mutate.js';

const ID = { repo: 'org/name', revision: 'main' };
const COMMIT = '0123456789abcdef0123456789abcdef01234567';
/** Without a byte for this long, a connection counts as broken. */
const SILENCE_MS = 200;

const INFO = { _id: '1', id: ID.repo, sha: COMMIT, private: false, gated: false, downloads: 0, likes: 0, siblings: [] };
const LIST = [
  { type: 'directory', path: 'figures', size: 0, oid: '0'.repeat(40) },
  { type: 'file', path: 'config.json', size: 2, oid: '9e26dfeeb6e641a33dae4961196235bdb965b21b' },
  { type: 'file', path: 'model.safetensors', size: 9, oid: 'a'.repeat(40), lfs: { oid: 'b'.repeat(64), size: 9 } },
];
const ADDRESSES = [
  'https://huggingface.co/org/name/tree/main',
  'hf://org/name@v1',
  'hf.co/org/name',
  'git@hf.co:org/name',
];

/** A Hub whose answers are mutated: opens a model on it and reads a file. */
export async function hubAnswers(random: Random): Promise<void> {
  const answers = {
    revision: bytesOf(random, mutateJson(random, INFO)),
    tree: bytesOf(random, mutateJson(random, LIST)),
  };
  const server = createServer(({ url = '' }, response) => {
    if (url.includes('/resolve/')) response.writeHead(200).end('{}');
    else send(random, response, url.includes('/revision/') ? answers.revision : answers.tree);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cache = await mkdtemp(join(tmpdir(), 'emergent-fuzz-'));
  const former = { HF_ENDPOINT: process.env.HF_ENDPOINT, HF_HOME: process.env.HF_HOME };
  process.env.HF_ENDPOINT = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  process.env.HF_HOME = cache;
  try {
    const connection = new Connection(ID, {}, () => Promise.resolve(), SILENCE_MS);
    const folder = await openHubFolder(ID, {}, connection);
    const source = await folder.open('config.json');
    await source?.close();
  } finally {
    for (const [name, value] of Object.entries(former)) {
      if (value === undefined) Reflect.deleteProperty(process.env, name);
      else process.env[name] = value;
    }
    server.closeAllConnections();
    server.close();
    await rm(cache, { recursive: true, force: true });
  }
}

/** Sends bytes in one of the ways in which a server can fail. */
function send(random: Random, response: ServerResponse, bytes: Uint8Array): void {
  switch (pick(random, ['whole', 'whole', 'whole', 'whole', 'gzip', 'no gzip', 'dropped', 'linked', 'stalled'])) {
    case 'gzip':
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(bytes));
      break;
    case 'no gzip':
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(bytes);
      break;
    case 'dropped':
      response.writeHead(200, { 'content-length': bytes.length + 1 }).write(bytes, () => response.destroy());
      break;
    case 'linked':
      response
        .writeHead(200, { link: `<${pick(random, ['x', 'http://', '/more', 'file:///x'])}>; rel="next"` })
        .end(bytes);
      break;
    case 'stalled':
      response.writeHead(200).write(bytes);
      break;
    default:
      response.writeHead(200).end(bytes);
  }
}

/** The address of a model with characters replaced, removed and doubled. */
export async function hubAddress(random: Random): Promise<unknown> {
  let text = pick(random, ADDRESSES);
  for (let i = 0; i < 3; i++) {
    const at = Math.floor(random() * (text.length + 1));
    const inserted = pick(random, [
      '/',
      '@',
      ':',
      '%',
      '%2F',
      '..',
      '#',
      '?',
      ' ',
      '\n',
      '\u001b[2J',
      '[',
      '',
      text.slice(at),
    ]);
    text = text.slice(0, at) + inserted + text.slice(at + Math.floor(random() * 2));
  }
  return Promise.resolve(parseHubId(text));
}
