"""The numbers of the report: means, paired differences, 95 % intervals and the verdicts of plan.md.

A run is an object of results.json. A metric is a function from a run to a number.
"""

import json
import math
import statistics
from dataclasses import dataclass

from constants import ABLATION_ARMS
from outputs import BadInput

MARGIN_BITS = 0.03  # bits a character
MARGIN_SHARE = 0.05
# The 97.5th percentile of Student's t by degrees of freedom (NIST/SEMATECH e-Handbook, 1.3.6.7.2).
T_975 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}


def bits(run):
    """Bits per character on held-out prose."""
    return run["bpc"]


def facts(run):
    """The share of exact answers to held-out wordings, the mean over the facts."""
    return statistics.fmean(found["exact"] for found in run["facts"].values())


def last_neighbors(run):
    return run["same_continent"][-1]


def gained_neighbors(run):
    return run["same_continent"][-1] - run["same_continent"][0]


@dataclass(frozen=True)
class Estimate:
    mean: float
    half: float  # of the 95 % interval; NaN for fewer than two values
    count: int

    @property
    def low(self):
        return self.mean - self.half

    @property
    def high(self):
        return self.mean + self.half


def estimate(values):
    """The mean and its interval, t(0.975, n - 1) * s / sqrt(n)."""
    n = len(values)
    half = T_975[n - 1] * statistics.stdev(values) / math.sqrt(n) if n > 1 else math.nan
    return Estimate(statistics.fmean(values), half, n)


class Results:
    """The runs of a file, by arm and seed."""

    def __init__(self, file):
        try:
            content = json.loads(file.read_text())
            self.settings, runs = content["settings"], content["runs"]
            self.runs = {(run["arm"], run["seed"]): run for run in runs}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadInput(f"{file} holds no results of the ablation: {error}") from error
        if len(self.runs) != len(runs):
            raise BadInput(f"{file} holds a run twice")
        if not runs:
            raise BadInput(f"{file} holds no run")
        self.arms = [arm for arm in ABLATION_ARMS if any(name == arm for name, _ in self.runs)]

    def of(self, arm):
        """The runs of an arm in the order of their seeds."""
        return [run for (name, _), run in sorted(self.runs.items()) if name == arm]

    def mean(self, arm, metric):
        return estimate([metric(run) for run in self.of(arm)])

    def difference(self, metric, arm, other):
        """The paired difference arm - other over the seeds that both have; None if there is no such seed."""
        pairs = [(run, self.runs.get((other, run["seed"]))) for run in self.of(arm)]
        values = [metric(run) - metric(paired) for run, paired in pairs if paired is not None]
        return estimate(values) if values else None


@dataclass(frozen=True)
class Claim:
    text: str
    metric: callable
    pairs: tuple  # of arms: the first minus the second; (arm,) for the metric itself
    rule: callable
    needs_control: bool = True

    def estimates(self, results):
        return [
            results.difference(self.metric, *pair)
            if len(pair) == 2
            else results.mean(*pair, self.metric)
            if pair[0] in results.arms
            else None
            for pair in self.pairs
        ]

    def verdict(self, results):
        found = self.estimates(results)
        if any(it is None or math.isnan(it.half) for it in found):
            return "undecided"
        verdicts = [self.rule(it) for it in found]
        if "not supported" in verdicts:
            return "not supported"
        if "undecided" in verdicts or (self.needs_control and not control_works(results)):
            return "undecided"
        return "supported"


def below(bound):
    return lambda it: "supported" if it.high < bound else "not supported" if it.low > bound else "undecided"


def above(bound):
    return lambda it: "supported" if it.low > bound else "not supported" if it.high < bound else "undecided"


def within(margin):
    def rule(it):
        if -margin < it.low and it.high < margin:
            return "supported"
        return "not supported" if it.low > margin or it.high < -margin else "undecided"

    return rule


def control_works(results):
    """Whether codes that collide are worse by more than the margin: otherwise the experiment cannot see bad codes."""
    found = results.difference(bits, "collide", "trainable")
    return found is not None and found.low > MARGIN_BITS


CLAIMS = (
    Claim("Frozen codes without meaning suffice", bits, (("float-20", "trainable"),), below(MARGIN_BITS)),
    Claim(
        "The same against the better start of a trained table",
        bits,
        (("float-20", "trainable-small"),),
        below(MARGIN_BITS),
    ),
    Claim("Frozen models know more", facts, (("float-20", "trainable"),), above(0), needs_control=False),
    Claim("The index in binary suffices", bits, (("binary", "trainable"),), below(MARGIN_BITS)),
    Claim(
        "Affine codes, which need no table, suffice",
        bits,
        (("affine-a", "trainable"), ("affine-b", "trainable")),
        below(MARGIN_BITS),
    ),
    Claim("The draw of the affine map does not matter", bits, (("affine-a", "affine-b"),), within(MARGIN_BITS)),
    Claim("Pictures of the characters carry no advantage", bits, (("glyph", "float-80"),), within(MARGIN_BITS)),
    Claim(
        "The width of the codes does not matter, at equal norm",
        bits,
        (("float-20-matched", "float-80-matched"),),
        within(MARGIN_BITS),
    ),
    Claim(
        "The norm of the codes does not matter",
        bits,
        (("float-20", "float-20-matched"), ("float-80", "float-80-matched")),
        within(MARGIN_BITS),
    ),
    Claim("Freezing as such costs nothing", bits, (("frozen-normal", "trainable"),), below(MARGIN_BITS)),
    Claim("Meaning arises in the blocks", gained_neighbors, (("float-20",),), above(MARGIN_SHARE), needs_control=False),
    Claim(
        "... and no less than with a trained table",
        last_neighbors,
        (("float-20", "trainable"),),
        above(-MARGIN_SHARE),
    ),
)
