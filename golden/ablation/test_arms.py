"""Tests the tables, the pairing of runs and the measures:  golden/run.sh test-ablation"""

import functools
import random
import unittest
from types import SimpleNamespace
from unittest import mock

import torch

from ablation import arms, data, glyphs, measure, sources, train
from model import Model
from train_demo import EOS

LETTERS = {ord("a") + n: [[(n >> row % 5) & 1] * 8 for row in range(16)] for n in range(26)}
STRINGS = [chr(97 + n % 26) + chr(97 + n // 26 % 26) + chr(97 + n // 676) for n in range(arms.V)]


@functools.cache
def table(name, seed=1):
    return made(name, seed)


def made(name, seed):
    with mock.patch.object(sources, "unifont_bitmaps", return_value=LETTERS):
        return arms.make_table(arms.ARMS[name], seed, STRINGS)


def expanded_norms(name):
    return table(name).repeat_interleave(arms.C // arms.ARMS[name].width, 1).norm(dim=1)


class Tables(unittest.TestCase):
    def test_shapes(self):
        for name, arm in arms.ARMS.items():
            self.assertEqual(table(name).shape, (arms.V, arm.width), name)
            self.assertEqual(arms.C % arm.width, 0, name)

    def test_codes_are_distinct_but_for_the_control(self):
        for name in arms.ARMS:
            distinct = len({tuple(row) for row in table(name).tolist()})
            self.assertEqual(distinct, 32 if name == "collide" else arms.V, name)

    def test_binary_is_the_index(self):
        rows = table("binary").int().tolist()
        self.assertEqual([sum(bit << n for n, bit in enumerate(row)) for row in rows], list(range(arms.V)))

    def test_affine_is_affine(self):
        """f(s) + f(t) + f(0) = f(s + t) over GF(2), and the two arms differ."""
        for name in ("affine-a", "affine-b"):
            f = table(name).long()
            for s, t in ((1, 2), (5, 9), (512, 1023), (77, 800)):
                self.assertEqual(((f[s] + f[t] + f[0]) % 2).tolist(), f[s ^ t].tolist())
        self.assertFalse(torch.equal(table("affine-a"), table("affine-b")))
        self.assertTrue(torch.equal(table("affine-a", 1), table("affine-a", 2)))  # the map is fixed

    def test_rank_over_gf2(self):
        ones = torch.tensor([[1, 1, 0], [0, 1, 1], [1, 0, 1]])  # rows add up to zero over GF(2), not over the reals
        self.assertEqual(arms.rank_over_gf2(ones), 2)
        self.assertEqual(arms.rank_over_gf2(torch.eye(4, dtype=torch.long).flip(0)), 4)

    def test_norms(self):
        for name in ("float-20", "float-80", "glyph"):
            repeats = arms.C // arms.ARMS[name].width
            self.assertLess((expanded_norms(name) - repeats**0.5).abs().max(), 1e-4, name)
        for name in ("float-20-matched", "float-80-matched"):
            self.assertLess((expanded_norms(name) - arms.C**0.5).abs().max(), 1e-3, name)
            own = table(name.removesuffix("-matched"))
            self.assertLess((table(name) / own - table(name)[0, 0] / own[0, 0]).abs().max(), 1e-2, name)

    def test_seeds(self):
        for name in ("trainable", "bit-20", "float-20", "float-80", "collide"):
            self.assertFalse(torch.equal(table(name, 1), table(name, 2)), name)
            self.assertTrue(torch.equal(table(name, 1), made(name, 1)), name)

    def test_glyphs_of_equal_length_are_drawn_alike(self):
        with mock.patch.object(sources, "unifont_bitmaps", return_value={97: [[1] * 8] * 16}):
            pictures = glyphs.drawn(["a", "aa", "b"]).view(3, 32, 32)
        self.assertEqual(pictures[0, :, 8:24].sum().item(), 512)  # 16 of 32 columns
        self.assertLess(pictures[2].sum(), 40)  # noise alone
        self.assertLess((pictures[1].sum() - 512).abs(), 40)


class Pairing(unittest.TestCase):
    def test_only_the_table_differs_at_the_start(self):
        models = []
        for name in ("trainable", "binary", "float-20"):
            model = Model({**train.CONFIG, "n_embed": arms.ARMS[name].width})
            train.initialize(model, 3)
            models.append({n: p for n, p in model.state_dict().items() if n != "token_embeddings.weight"})
        for name, value in models[0].items():
            for other in models[1:]:
                self.assertTrue(torch.equal(value, other[name]), name)
        self.assertTrue(torch.equal(table("trainable", 3), table("frozen-normal", 3)))

    def test_batches_depend_on_the_seed_alone(self):
        one = data.Data.__new__(data.Data)
        one.tokenizer, one.countries, one.prose = tokenizer(), countries(), torch.arange(5000) % 100
        first, again, other = (next(one.batches(random.Random(seed), 2)) for seed in (1, 1, 2))
        self.assertEqual(first[0].shape, (4, data.ROW + 1))
        self.assertTrue(torch.equal(first[0], again[0]) and torch.equal(first[1], again[1]))
        self.assertFalse(torch.equal(first[0], other[0]))

    def test_no_held_out_wording_is_trained_on(self):
        for fact, wordings in data.HELD_OUT.items():
            self.assertFalse(set(wordings) & set(data.demo_data.PHRASINGS[fact]))


def tokenizer():
    return data.Tokenizer.from_file(str(data.ROOT / "models/demo/tokenizer.json"))


def countries():
    facts = {"capital": "Paris", "continent": "Europe", "domain": ".fr"}
    return [data.demo_data.Country("France", True, facts), data.demo_data.Country("Chad", True, facts)]


class Measures(unittest.TestCase):
    def setUp(self):
        self.tokenizer = tokenizer()
        strings = [self.tokenizer.id_to_token(n) for n in range(arms.V)]
        lengths = torch.tensor([len(string) for string in strings])
        self.data = SimpleNamespace(tokenizer=self.tokenizer, strings=strings, lengths=lengths, countries=countries())

    def test_a_uniform_model_needs_log2_v_bits_a_token(self):
        rows = torch.tensor([[ord("a")] * (data.ROW + 1)] * 3)
        found = measure.bits_per_character(lambda ids: torch.zeros(*ids.shape, arms.V), self.data, rows)
        self.assertAlmostEqual(found, 10, places=5)

    def test_answers(self):
        """A model that knows France answers half of the questions; one that never ends answers none."""
        right = {}
        for fact, wordings in data.HELD_OUT.items():
            for wording in wordings:
                country = self.data.countries[0]
                asked, answered = measure.encode(self.tokenizer, country.ask(wording), country.facts[fact])
                right[tuple(asked)] = answered

        def model(ids, ends=True):
            logits = torch.zeros(*ids.shape, arms.V)
            for n, row in enumerate(ids.tolist()):
                for asked, answered in right.items():
                    if tuple(row[: len(asked)]) == asked:
                        for k, token in enumerate(answered if ends else answered[:-1]):
                            logits[n, len(asked) - 1 + k, token] = 50
            return logits

        for fact in data.FACTS:
            self.assertEqual(measure.answers(model, self.data, None)[fact]["exact"], 0.5)
            self.assertEqual(measure.answers(lambda ids: model(ids, False), self.data, None)[fact]["exact"], 0)
        self.assertEqual(next(iter(right.values()))[-1], EOS)

    def test_token_classes(self):
        named = {string: measure.token_class(string) for string in (" th", "An", "e", "th", ".", "7", "\nA")}
        expected = ["space", "capital", "vowel", "consonant", "mark", "mark", "space"]
        self.assertEqual(list(named.values()), expected)


if __name__ == "__main__":
    unittest.main()
