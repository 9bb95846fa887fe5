"""Tests the report of the ablation:  golden/run.sh test

Every number in the report is computed again from the results, with code of its own, and compared with the text. Needs
no PyTorch.
"""

import json
import math
import random
import re
import tempfile
import unittest
from pathlib import Path
from xml.etree import ElementTree

from ablation import analysis, report
from constants import ABLATION_ARMS
from outputs import BadInput

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "golden/ablation/results.json"
NUMBER = r"[+−]?\d+\.\d+"
LAYERS = 4


def invented(seeds=(1, 2, 3, 4, 5), arms=ABLATION_ARMS, collide=0.3):
    """Results with random numbers. `collide` is how much worse the control is."""
    rng = random.Random(1)
    runs = []
    for seed in seeds:
        for arm in arms:
            bits = 2.4 + rng.gauss(0, 0.01) + (collide if arm == "collide" else 0)
            exact = {fact: {"exact": rng.random(), "bits": 1.0} for fact in ("capital", "continent", "domain")}
            point = {"bpc": 3.0, "exact": {fact: 0.5 for fact in exact}}
            run = {"arm": arm, "seed": seed, "input_norm": [rng.random() * 9, 1.0], "bpc": bits, "facts": exact}
            for key in ("same_continent", "token_class"):
                run |= {key: [rng.random() for _ in range(LAYERS + 1)], f"{key}_chance": 0.2}
            run |= {"curve": [{"step": step, **point} for step in (0, 70, 140)], "seconds": 40 + rng.random()}
            runs.append(run)
    return {"settings": {"steps": 140, "torch": "2.13.0"}, "runs": runs}


def loaded(content):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "results.json"
        file.write_text(json.dumps(content))
        return analysis.Results(file)


def rows_after(text, heading):
    """The cells of the first table after a heading, without its head."""
    body = text[text.index(heading) :]
    lines = re.search(r"(^\|.*\n)+", body, re.MULTILINE).group().splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def numbers(cell):
    return [float(found.replace("−", "-")) for found in re.findall(NUMBER, cell)]


def interval_of(values):
    """Mean, low and high end, by the formula written out; 2.776 is t(0.975, 4)."""
    n = len(values)
    mean = sum(values) / n
    if n == 1:
        return [mean]
    t = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}[n]
    half = t * math.sqrt(sum((value - mean) ** 2 for value in values) / (n - 1) / n)
    return [mean, mean - half, mean + half]


class Recomputed(unittest.TestCase):
    """Every number of a report, from the JSON."""

    def check(self, content):
        text, runs = report.written(loaded(content)), content["runs"]
        by = {(run["arm"], run["seed"]): run for run in runs}

        def exact(run):
            return sum(run["facts"][fact]["exact"] for fact in ("capital", "continent", "domain")) / 3

        def values(metric, arm):
            return [metric(by[arm, seed]) for seed in sorted(seed for name, seed in by if name == arm)]

        def differences(metric, a, b):
            seeds = sorted(seed for name, seed in by if name == a and (b, seed) in by)
            return [metric(by[a, seed]) - metric(by[b, seed]) for seed in seeds]

        def average(found):
            return [sum(found) / len(found)]

        def assert_interval(cell, values, digits=3):
            expected = interval_of(values) if values else []
            self.assertEqual(len(numbers(cell)), len(expected), cell)
            for shown, value in zip(numbers(cell), expected):
                self.assertLess(abs(shown - value), 0.5001 * 10**-digits, cell)

        def bits(run):
            return run["bpc"]

        table = rows_after(text, "## What each arm gave")
        self.assertEqual([row[0] for row in table], [arm for arm in ABLATION_ARMS if arm in {name for name, _ in by}])
        for arm, seeds, norm, shown, difference, answered in table:
            self.assertEqual(int(seeds), len(values(bits, arm)))
            assert_interval(norm, average(values(lambda run: run["input_norm"][0], arm)), 2)
            assert_interval(shown, values(bits, arm))
            assert_interval(difference, [] if arm == "trainable" else differences(bits, arm, "trainable"))
            assert_interval(answered, values(exact, arm))

        def last(run):
            return run["same_continent"][LAYERS]

        def gained(run):
            return run["same_continent"][LAYERS] - run["same_continent"][0]

        metrics = {3: exact, 11: gained, 12: last}
        for n, _, shown, verdict in rows_after(text, "## The claims"):
            for part in shown.split("; "):
                pair, cell = part.split(": ")
                metric = metrics.get(int(n), bits)
                arms = pair.split(" − ")
                assert_interval(cell, differences(metric, *arms) if len(arms) == 2 else values(metric, *arms))
            self.assertIn(verdict, ("supported", "not supported", "undecided"))
        control = re.search(r"differs from trainable by (.*) bits a", text).group(1)
        assert_interval(control, differences(bits, "collide", "trainable"))

        for key, heading in (("same_continent", "five nearest neighbors"), ("token_class", "a linear probe tells (by")):
            section = text[text.index("## Where meaning appears") :]
            chance = re.search(re.escape(heading) + r"[^\d]*?(" + NUMBER + ")", section).group(1)
            self.assertLess(abs(float(chance) - runs[0][f"{key}_chance"]), 0.0005001)
            for arm, *layers in rows_after(section, heading):
                self.assertEqual(len(layers), LAYERS + 1)
                for n, shown in enumerate(layers):
                    assert_interval(shown, average(values(lambda run: run[key][n], arm)))

        count, steps, minutes, median = re.search(
            r"\n(\d+) runs of (\d+) steps .*?: (\d+) minutes in all, median (\d+) seconds", text, re.DOTALL
        ).groups()
        seconds = sorted(run["seconds"] for run in runs)
        middle = (seconds[(len(seconds) - 1) // 2] + seconds[len(seconds) // 2]) / 2
        self.assertEqual((int(count), int(steps)), (len(runs), content["settings"]["steps"]))
        self.assertLess(abs(int(minutes) - sum(seconds) / 60), 0.5001)
        self.assertLess(abs(int(median) - middle), 0.5001)

    def test_of_invented_results(self):
        self.check(invented())

    def test_of_unfinished_results(self):
        content = invented()
        self.check({**content, "runs": content["runs"][: len(ABLATION_ARMS) + 4]})
        self.check({**content, "runs": content["runs"][:3]})

    @unittest.skipUnless(RESULTS.exists(), "there are no results yet")
    def test_of_the_committed_results(self):
        self.check(json.loads(RESULTS.read_text()))
        results = analysis.Results(RESULTS)
        self.assertEqual((ROOT / "docs/ablation.md").read_text(), report.written(results))
        for name, picture in report.drawn(results).items():
            self.assertEqual((ROOT / "docs/ablation" / name).read_text(), picture)


class Verdicts(unittest.TestCase):
    def verdict(self, claim, low, high, collide=0.3):
        """The verdict of a claim (counted from 1) where its first two arms differ by an interval about [low, high]."""
        mean, half = (low + high) / 2, (high - low) / 2
        # Two seeds at mean ± d have s = d * sqrt(2), so the interval reaches t * s / sqrt(2) = 12.706 d.
        content = invented(seeds=(1, 2), collide=collide)
        for run in content["runs"]:
            off = mean + (half / 12.706 if run["seed"] == 1 else -half / 12.706)
            run["bpc"] = 2.4 + (collide if run["arm"] == "collide" else 0)
            for pair in analysis.CLAIMS[claim - 1].pairs:
                run["bpc"] += off if run["arm"] == pair[0] else 0
        return analysis.CLAIMS[claim - 1].verdict(loaded(content))

    def test_no_worse_than_the_margin(self):
        self.assertEqual(self.verdict(1, -0.5, 0.029), "supported")
        self.assertEqual(self.verdict(1, -0.5, 0.031), "undecided")
        self.assertEqual(self.verdict(1, 0.029, 0.05), "undecided")
        self.assertEqual(self.verdict(1, 0.031, 0.05), "not supported")

    def test_within_the_margin(self):
        self.assertEqual(self.verdict(7, -0.029, 0.029), "supported")
        self.assertEqual(self.verdict(7, -0.031, 0.029), "undecided")
        self.assertEqual(self.verdict(7, -0.05, -0.031), "not supported")
        self.assertEqual(self.verdict(7, 0.031, 0.05), "not supported")

    def test_no_equivalence_without_a_working_control(self):
        self.assertEqual(self.verdict(1, -0.01, 0.01, collide=0.02), "undecided")
        self.assertEqual(self.verdict(1, 0.04, 0.05, collide=0.02), "not supported")

    def test_one_seed_decides_nothing(self):
        results = loaded(invented(seeds=(1,)))
        self.assertEqual({claim.verdict(results) for claim in analysis.CLAIMS}, {"undecided"})


class Files(unittest.TestCase):
    def test_pictures_are_xml(self):
        for picture in report.drawn(loaded(invented())).values():
            ElementTree.fromstring(picture)

    def test_results_that_are_none(self):
        for content in ({}, [], {"settings": {}, "runs": []}, {"settings": {}, "runs": [{"arm": "binary"}]}):
            with self.assertRaises(BadInput):
                loaded(content)
        run = invented()["runs"][0]
        with self.assertRaisesRegex(BadInput, "twice"):
            loaded({"settings": {}, "runs": [run, run]})


if __name__ == "__main__":
    unittest.main()
