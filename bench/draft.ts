/**
 * Times decoding with drafts beside decoding without, at full size.
 *
 *     npm run bench:draft [-- --model DIR --threads 2 --tokens 64 --rounds 3]
 *
 * All cases take turns, so that a busy machine slows all of them. The time runs from the first new token to the last one, so
 * it includes that the draft reads the prompt. Scripted cases compute everything, but take the next token from a script
 * instead of from the logits: one that repeats itself, and one of which no drafted token is ever right.
 */
import { setFlagsFromString } from 'node:v8';
import { Command } from 'commander';
import { openBackend, openWeightsHome, type Session } from '../src/backend.js';
import { median } from '../src/bench.js';
import { loadModel } from '../src/checkpoint/loadModel.js';
import { table } from '../src/cli/output.js';
import type { Draft } from '../src/draft/draft.js';
import { LookupDraft } from '../src/draft/lookup.js';
import { ModelDraft } from '../src/draft/modelDraft.js';
import { openDraftModel } from '../src/draft/open.js';
import { generateIds } from '../src/generate.js';
import { CHECKPOINT, parseCount } from './setup.js';

const PROMPT = 24;
/** The script that repeats has this many different tokens. */
const CIRCLE = 12;

const options = new Command('bench:draft')
  .option('--model <dir>', 'model folder', CHECKPOINT)
  .option('--threads <n>', 'threads', parseCount, 2)
  .option('--tokens <n>', 'new tokens of a text', parseCount, 64)
  .option('--rounds <n>', 'rounds', parseCount, 3)
  .parse()
  .opts<{ model: string; threads: number; tokens: number; rounds: number }>();

if (process.versions.node.startsWith('20.')) setFlagsFromString('--experimental-wasm-relaxed-simd');
const name = `simd:${options.threads}`;
const { model } = await loadModel(options.model, { home: await openWeightsHome(name) });
const { vocabSize: V } = model.config;
const backend = await openBackend(model, name);
const int8 = await openDraftModel(model, 'int8', name);
const int4 = await openDraftModel(model, 'int4', name);
const prompt = Array.from({ length: PROMPT }, (_, i) => (i * 7919) % V);
const length = PROMPT + options.tokens;
const circle = Array.from({ length }, (_, i) => ((i % CIRCLE) * 7919) % V);
/** Pairs recur, and another token follows them each time. */
const deceiving = Array.from({ length }, (_, i) => (i % 3 < 2 ? i % 3 : 100 + ((i * 31) % (V - 100))));

/** A session that computes as ever, and then says that the next token is the one of the script. */
function follow(session: Session, script: readonly number[]): Session {
  const forward = session.forward.bind(session);
  session.forward = async (ids, settings) => {
    const scores = await forward(ids, settings);
    const [rows] = scores.shape;
    for (let row = 0; row < rows; row++) {
      scores.data.subarray(row * V, (row + 1) * V)[script[session.length - rows + row + 1] ?? 0] = 1e9;
    }
    return scores;
  };
  return session;
}

interface Case {
  text: string;
  draft: 'off' | 'lookup' | 'int8' | 'int4';
  script?: readonly number[];
  times: number[];
  drafted: number;
  kept: number;
}

const texts: Record<string, readonly number[] | undefined> = {
  'its own': undefined,
  'repeats (script)': circle,
  'nothing kept (script)': deceiving,
};
const cases: Case[] = Object.entries(texts).flatMap(([text, script]) =>
  (['off', 'lookup', 'int8', 'int4'] as const)
    .filter((draft) => text !== 'repeats (script)' || draft === 'off' || draft === 'lookup')
    .map((draft): Case => ({ text, draft, ...(script && { script }), times: [], drafted: 0, kept: 0 })),
);

/** Decodes one text and returns the milliseconds a token. */
async function run(it: Case): Promise<number> {
  const own = backend.openSession();
  const session = it.script ? follow(own, it.script) : own;
  const draftSession =
    it.draft === 'int8' || it.draft === 'int4' ? { int8, int4 }[it.draft].backend.openSession() : null;
  const draft: Draft | undefined = draftSession
    ? new ModelDraft(draftSession)
    : it.draft === 'lookup'
      ? new LookupDraft()
      : undefined;
  const onDraft = (drafted: number, kept: number): void => {
    it.drafted += drafted;
    it.kept += kept;
  };
  const begun = it.script ? it.script.slice(0, PROMPT) : prompt;
  const times: number[] = [];
  for await (const id of generateIds(session, model.config, begun, { maxNewTokens: options.tokens, draft, onDraft })) {
    if (id < V) times.push(performance.now());
  }
  const ms = (times[times.length - 1] - times[0]) / (times.length - 1);
  await own.dispose();
  await draftSession?.dispose();
  return ms;
}

for (let round = 0; round < options.rounds; round++) {
  for (const it of cases) it.times.push(await run(it));
}

const rows: (string | number)[][] = [['text', 'draft', 'kept', 'ms a token', 'times off']];
for (const it of cases) {
  const off = cases.find(({ text, draft }) => text === it.text && draft === 'off')!;
  // each round beside its own undrafted text: a busy machine changes from round to round
  const ratio = median(it.times.map((ms, round) => off.times[round] / ms));
  const kept = it.drafted === 0 ? '' : `${it.kept} of ${it.drafted}`;
  rows.push([it.text, it.draft, kept, median(it.times).toFixed(1), ratio.toFixed(2)]);
}
console.log(`${backend.adapter}; ${options.tokens} tokens after ${PROMPT}; medians of ${options.rounds} rounds`);
console.log(`a draft's weights: int8 ${Math.round(int8.bytes / 1e6)} MB, int4 ${Math.round(int4.bytes / 1e6)} MB`);
console.log(table(rows));
for (const opened of [backend, int8.backend, int4.backend]) await opened.dispose();
