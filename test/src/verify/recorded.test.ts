import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { loadModel } from '../../../src/checkpoint/loadModel.js';
import { namedTensors } from '../../../src/checkpoint/assemble.js';
import { recordedRoles } from '../../../src/verify/golden.js';
import { readGolden } from '../../../src/verify/readGolden.js';
import { summarize } from '../../../src/verify/report.js';
import { verify } from '../../../src/verify/verify.js';

/** A model of other authors' names, and what emergent-recorder wrote of it. */
function recorded(path: string): string {
  return fileURLToPath(new URL(`../../../golden/fixtures-recorded/${path}`, import.meta.url));
}

describe('a recording', () => {
  const models = {
    complex: 'a fused qkv and a table in a buffer',
    hand: 'matrices stored as [in, out], square ones too',
    twice: 'a head tied to the table',
  };
  for (const [name, what] of Object.entries(models)) {
    it(`names the tensors of its checkpoint: ${what}`, async () => {
      const golden = await readGolden(recorded(`${name}/golden.safetensors`));
      const { model, report } = await loadModel(recorded(name), { recorded: recordedRoles(golden) });
      assert.ok(report.tensors.every(({ by }) => by === 'recording'));
      const checked = await verify(model, golden);
      assert.equal(checked.rows.length, golden.tensors.size);
      assert.equal(checked.first, null, summarize(checked, null));
    });

    it(`is needed for ${name}, whose names alone say too little`, async () => {
      await assert.rejects(loadModel(recorded(name)), /--tensor-map/);
    });
  }

  it('is believed, not corrected: swapped roles give another model', async () => {
    const golden = await readGolden(recorded('hand/golden.safetensors'));
    const { roles, transposed } = recordedRoles(golden);
    const nameOf = (part: string): string =>
      Object.keys(roles).find((key) => roles[key] === `transformer_layers.0.self_attn.${part}_proj.weight`)!;
    const swapped = { ...roles, [nameOf('q')]: roles[nameOf('k')], [nameOf('k')]: roles[nameOf('q')] };
    const wrong = await loadModel(recorded('hand'), { recorded: { roles: swapped, transposed } });
    assert.equal((await verify(wrong.model, golden)).first?.name, 'layers.0.q');
    const untransposed = transposed.filter((name) => name !== nameOf('v'));
    const turned = await loadModel(recorded('hand'), { recorded: { roles, transposed: untransposed } });
    assert.equal((await verify(turned.model, golden)).first?.name, 'layers.0.v');
  });

  it('gives way to the tensor map, and to the names of a checkpoint that was renamed', async () => {
    const golden = await readGolden(recorded('hand/golden.safetensors'));
    const { roles } = recordedRoles(golden);
    const absent = Object.fromEntries(Object.entries(roles).map(([name, role]) => [`other.${name}`, role]));
    await assert.rejects(loadModel(recorded('hand'), { recorded: { roles: absent, transposed: [] } }), /--tensor-map/);
    const head = Object.keys(roles).find((key) => roles[key] === 'lm_head.weight')!;
    const loading = loadModel(recorded('hand'), { recorded: recordedRoles(golden), tensorMap: { [head]: null } });
    await assert.rejects(loading, /nothing found for lm_head\.weight/);
  });

  it('puts a tied parameter in both places', async () => {
    const golden = await readGolden(recorded('twice/golden.safetensors'));
    const { model } = await loadModel(recorded('twice'), { recorded: recordedRoles(golden) });
    const tensors = namedTensors(model.weights);
    assert.deepEqual(tensors['lm_head.weight'].data, tensors['token_embeddings.weight'].data);
  });
});
