"""The arms of the experiment: how each one fills the table of input codes.

C is the model width, V the vocabulary, E the width of the table. A row is repeated C / E times, as in the family.
"""

from dataclasses import dataclass

import torch
from torch.nn import functional as F

from ablation import glyphs
from constants import ABLATION_ARMS

C, V = 80, 1024
INDEX_BITS = 10  # log2 of V
AFFINE_SEEDS = {"affine-a": 101, "affine-b": 102}


@dataclass(frozen=True)
class Arm:
    name: str
    kind: str
    width: int  # E
    trained: bool = False
    matched: bool = False  # scaled so that a row, repeated to C numbers, has the norm of N(0,1): sqrt(C)
    distinct: bool = True  # whether every token has a code of its own


ARMS = {
    arm.name: arm
    for arm in (
        Arm("trainable", "normal", C, trained=True),
        Arm("trainable-small", "small", C, trained=True),
        Arm("frozen-normal", "normal", C),
        Arm("binary", "binary", INDEX_BITS),
        Arm("bit-20", "bit", 20),
        Arm("float-20", "float", 20),
        Arm("float-20-matched", "float", 20, matched=True),
        Arm("float-80", "float", C),
        Arm("float-80-matched", "float", C, matched=True),
        Arm("affine-a", "affine", INDEX_BITS),
        Arm("affine-b", "affine", INDEX_BITS),
        Arm("glyph", "glyph", C),
        Arm("collide", "bit", 5, distinct=False),
    )
}
assert tuple(ARMS) == ABLATION_ARMS


def index_bits():
    """The token's index in binary, lowest bit first. [V, 10]"""
    return (torch.arange(V)[:, None] >> torch.arange(INDEX_BITS) & 1).double()


def random_bits(width, generator, distinct=True):
    """Random rows of bits, different from each other if `distinct`. [V, width]"""
    while True:
        bits = torch.randint(0, 2, (V, width), generator=generator)
        if not distinct or len(torch.unique(bits, dim=0)) == V:
            return bits.double()


def principal(rows, width):
    """The first `width` principal components of the rows, each row scaled to length 1. [V, width]"""
    centered = rows - rows.mean(0)
    axes = torch.linalg.svd(centered, full_matrices=False).Vh[:width]
    return F.normalize(centered @ axes.T, dim=1)


def rank_over_gf2(matrix):
    """The rank of a square 0/1 matrix over the field of two elements, by elimination."""
    rows, rank = [int("".join(map(str, row)), 2) for row in matrix.tolist()], 0
    for bit in reversed(range(len(rows))):
        pivot = next((row for row in rows if row >> bit & 1), None)
        if pivot is not None:
            rank += 1
            rows.remove(pivot)
            rows = [row ^ pivot if row >> bit & 1 else row for row in rows]
    return rank


def affine_bits(generator):
    """A * bin(t) xor b over GF(2) with a random invertible A, so that codes are distinct (arXiv 2605.09751). [V, 10]"""
    while True:
        matrix = torch.randint(0, 2, (INDEX_BITS, INDEX_BITS), generator=generator)
        if rank_over_gf2(matrix) == INDEX_BITS:
            break
    offset = torch.randint(0, 2, (INDEX_BITS,), generator=generator)
    return ((index_bits().long() @ matrix.T + offset) % 2).double()


def make_table(arm, seed, strings):
    """The table of an arm at the start of a run, [V, E] in float32. `strings` are the tokens, for their glyphs."""
    generator = torch.Generator().manual_seed(AFFINE_SEEDS.get(arm.name, 1000 + seed))
    if arm.kind in ("normal", "small"):
        table = torch.randn(V, arm.width, generator=generator).double() * (0.02 if arm.kind == "small" else 1)
    elif arm.kind == "binary":
        table = index_bits()
    elif arm.kind == "affine":
        table = affine_bits(generator)
    elif arm.kind == "bit":
        table = random_bits(arm.width, generator, arm.distinct)
    elif arm.kind == "float":
        table = principal(random_bits(arm.width, generator), arm.width)
    else:
        table = principal(glyphs.drawn(strings), arm.width)
    if arm.matched:
        table = table * (arm.width**0.5 / table.norm(dim=1).mean())
    table = table.float()
    distinct = len(torch.unique(table, dim=0)) == V
    assert distinct == arm.distinct, f"{arm.name}: codes collide" if arm.distinct else f"{arm.name}: no code collides"
    return table
