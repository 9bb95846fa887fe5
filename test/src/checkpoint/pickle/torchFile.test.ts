import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { readTorchFile, type TorchFile } from '../../../../src/checkpoint/pickle/torchFile.js';
import { findStateDict } from '../../../../src/checkpoint/pickle/stateDict.js';
import type { PickleDict } from '../../../../src/checkpoint/pickle/unpickle.js';
import { openSafetensors } from '../../../../src/checkpoint/safetensors.js';
import { memorySource } from '../../../../src/folder/byteSource.js';
import { openFile } from '../../../../src/folder/nodeFile.js';
import { CheckpointError } from '../../../../src/lib/errors.js';

const folder = fileURLToPath(new URL('../../../../golden/fixtures-pickles/', import.meta.url));
const pathOf = (name: string): string => `${folder}${name}`;

async function open(name: string): Promise<TorchFile> {
  return readTorchFile(await openFile(pathOf(name)));
}

/** Opens bytes as a file called x.pt. */
function openBytes(bytes: Uint8Array): Promise<TorchFile> {
  return readTorchFile(memorySource(bytes, 'x.pt'));
}

/** Refuses in one line that begins with the name of the file. */
async function refuses(opened: Promise<TorchFile>, message: RegExp): Promise<void> {
  await assert.rejects(opened, (error: Error) => {
    assert.ok(error instanceof CheckpointError, error.stack);
    assert.match(error.message, message);
    assert.ok(!error.message.includes('\n'));
    return true;
  });
}

/** The archive with every occurrence of some bytes replaced by as many others. */
function replaced(name: string, from: string, to: string): Buffer {
  assert.equal(from.length, to.length);
  const text = readFileSync(pathOf(name), 'latin1');
  assert.ok(text.includes(from), `${name} does not contain ${JSON.stringify(from)}`);
  return Buffer.from(text.replaceAll(from, to), 'latin1');
}

/** The same tensors as in the archive, under other names. */
const FOREIGN: [RegExp, string][] = [
  [/^token_embeddings/, 'wte'],
  [/^transformer_layers/, 'h'],
  [/input_layernorm/, 'ln_1'],
  [/post_attention_layernorm/, 'ln_2'],
  [/self_attn/, 'attn'],
  [/^final_layernorm/, 'ln_f'],
];

function renamed(name: string): string {
  return FOREIGN.reduce((text, [from, to]) => text.replace(from, to), name);
}

describe('files of torch.save', () => {
  const names = readdirSync(folder).filter((name) => name.endsWith('.safetensors'));

  it('are here', () => {
    assert.ok(names.length >= 8);
  });

  for (const name of names) {
    const stem = name.slice(0, -'.safetensors'.length);
    it(`${stem}.pt has the tensors that PyTorch reads from it, bit by bit`, async () => {
      const truth = await openSafetensors(pathOf(name));
      const file = await open(`${stem}.pt`);
      const expectedNames = [...truth.tensors.keys()].map(stem === 'model' ? renamed : (same) => same);
      assert.deepEqual([...file.tensors.keys()].sort(), expectedNames.sort());
      for (const expected of truth.tensors.values()) {
        const found = file.tensors.get(stem === 'model' ? renamed(expected.name) : expected.name)!;
        assert.deepEqual(
          [found.dtype, found.shape, found.bytes],
          [expected.dtype, expected.shape, expected.bytes],
          expected.name,
        );
        const [ours, theirs] = [new Uint8Array(found.bytes), new Uint8Array(expected.bytes)];
        await file.readBytes(found.name, ours);
        await truth.readBytes(expected.name, theirs);
        assert.deepEqual(ours, theirs, expected.name);
        if (!/^(F|BF)/.test(expected.dtype)) {
          await assert.rejects(file.readFloat32(found.name), /only F32, F16, BF16 and F64 can be read$/);
          continue;
        }
        const whole = await file.readFloat32(found.name);
        assert.deepEqual(whole, await truth.readFloat32(expected.name), expected.name);
        for (const start of [0, 1, whole.data.length - 1].filter((n) => n >= 0 && n < whole.data.length)) {
          const part = new Float32Array(whole.data.length - start);
          await file.readFloats(found.name, part, start);
          assert.deepEqual(part, whole.data.subarray(start), `${expected.name} from ${start}`);
        }
      }
      await file.close();
      await truth.close();
    });
  }

  it('say where the state dict was and what was taken off its names, and keep the options beside it', async () => {
    const { notes, config } = await openBytes(readFileSync(pathOf('nested.pt')));
    assert.deepEqual(notes, ['read the state dict under model', 'took module.block. off all names']);
    assert.deepEqual(config, { n_layer: 2, bias: false, name: 'x', dropout: 0, none: null });
  });

  const REFUSED: [string, RegExp][] = [
    ['refused-malicious', /its pickle names posix\.system, which is refused: only tensors, dicts/],
    ['refused-malicious5', /its pickle names posix\.system, which is refused: only tensors, dicts/],
    ['refused-module', /its pickle names torch\.nn\.modules\.container\.Sequential, which is refused/],
    ['refused-set', /its pickle has the opcode EMPTY_SET, which is refused/],
    ['refused-bytes', /its pickle has the opcode SHORT_BINBYTES, which is refused/],
    ['refused-complex', /its pickle names torch\.ComplexFloatStorage, which is refused/],
    ['refused-compressed', /in the archive is compressed, which PyTorch never does/],
    ['refused-expanded', /: a is expanded from fewer numbers: save it with \.contiguous\(\) in Python$/],
    [
      'refused-legacy',
      /has the format of PyTorch before 1\.6, .* rewrite it in Python with torch\.save\(torch\.load\(/,
    ],
    ['refused-list', /has no state dict, which is a dict from names to tensors/],
    ['refused-several', /has several state dicts, ema_a, ema_b: save the one to read under the key model$/],
  ];
  for (const [name, message] of REFUSED) {
    it(`${name}.pt is refused by name`, () => refuses(open(`${name}.pt`), message));
  }

  it('never run what they ask for', () => {
    assert.ok(!existsSync('/tmp/emergent-was-here'));
  });

  it('are refused wherever they are cut off', async () => {
    const bytes = readFileSync(pathOf('nested.pt'));
    for (let length = 0; length < bytes.length; length += 7) {
      await refuses(openBytes(bytes.subarray(0, length)), /^x\.pt/);
    }
  });

  it('are refused if a tensor exceeds its storage, or a storage its file', async () => {
    // the shape (2, 2) of a.weight as BININT1 BININT1 TUPLE2
    await refuses(
      openBytes(replaced('nested.pt', 'K\x02K\x02\x86', 'K\x02K\x09\x86')),
      /a tensor exceeds its storage$/,
    );
    await refuses(openBytes(replaced('nested.pt', 'K\x04tq', 'K\x05tq')), /takes 20 bytes, but its file has 16$/);
  });

  it('are read if only the 64-bit end of the archive has its sizes', async () => {
    const bytes = Buffer.from(readFileSync(pathOf('zip64.pt')));
    bytes.fill(0xff, bytes.length - 14, bytes.length - 2); // both counts, size and offset
    assert.deepEqual((await openBytes(bytes)).tensors, (await openBytes(readFileSync(pathOf('zip64.pt')))).tensors);
  });

  it('are refused if they name what they have not stored, and if a name has control characters', async () => {
    await refuses(openBytes(replaced('nested.pt', 'FloatStorage', 'F\x1b[31mtorage')), /names "torch\.F\\u/);
    await refuses(
      openBytes(replaced('nested.pt', 'nested/data/0', 'nested/data/x')),
      /the archive has no storage "0"$/,
    );
  });

  it('are refused at once if dicts contain themselves under every name', () => {
    const dict: PickleDict = new Map();
    for (const key of ['model_state_dict', 'state_dict', 'model', 'module', 'net', 'network', 'weights', 'x']) {
      dict.set(key, dict);
    }
    assert.throws(() => findStateDict(dict, 'x.pt'), /^CheckpointError: x\.pt has no state dict/);
  });

  it('are refused if they are something else', async () => {
    await refuses(openBytes(new Uint8Array(0)), /the file is empty/);
    await refuses(openBytes(Buffer.from('hello')), /is not a file of torch\.save: it is no zip archive$/);
    await refuses(openBytes(Buffer.from('80047d942e', 'hex')), /is a bare pickle, not a file of torch\.save/);
  });
});
