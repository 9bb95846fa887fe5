"""Builds a table of glyph codes for a tokenizer, after the recipe of UNI_GLYPH (arXiv 2507.04886).

    golden/.venv/bin/python golden/glyph_codes.py --unifont unifont.hex --tokenizer models/demo/tokenizer.json --out FILE

`unifont.hex` is in Debian's package unifont. Each character is drawn centered on 32 x 32. Latin, Greek, Cyrillic and
Armenian letters are rotated by U(-4, 4) degrees, shifted by up to 2 pixels, blurred and get 1 % of salt noise; all others
get 0.1 %. The random numbers begin anew for every character. An n-gram is drawn side by side and resized to 32 x 32. Its
pixels are read by (radius, angle, x, y) about the center. PCA over all tokens and unit length make the code.

Where this differs from the published table: Unifont 15.0.01 instead of 14.0.01; bitmaps doubled instead of drawn by a font
engine at 32 px; numpy's random numbers, as the original generator is not known; the published table takes its PCA over
65,536 tokens. Tokens that look alike share a code, such as blank ones; the program counts them.
"""

import argparse
import math
import sys
import unicodedata
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from tokenizers import Tokenizer
from torch.nn import functional as F

SIZE = 32
SEED = 42
TILTED = ("LATIN", "GREEK", "CYRILLIC", "ARMENIAN")
BLUR = 0.5  # standard deviation in pixels


def read_bitmaps(path):
    """Code point -> 16 strings of hexadecimal digits, one a row of 8 or 16 pixels."""
    bitmaps = {}
    for line in path.read_text("ascii").splitlines():
        code, digits = line.split(":")
        width = len(digits) // 16
        bitmaps[int(code, 16)] = [digits[i : i + width] for i in range(0, len(digits), width)]
    return bitmaps


def draw(character, bitmaps):
    """One character on [32, 32], 0 to 1. Blank if the font lacks it."""
    picture = torch.zeros(SIZE, SIZE)
    rows = bitmaps.get(ord(character))
    if rows:
        bits = torch.tensor([[int(bit) for bit in f"{int(row, 16):0{4 * len(row)}b}"] for row in rows]).float()
        drawn = bits.repeat_interleave(2, 0).repeat_interleave(2, 1)
        left = (SIZE - drawn.shape[1]) // 2
        picture[:, left : left + drawn.shape[1]] = drawn
    random = np.random.RandomState(SEED)
    is_tilted = unicodedata.name(character, "").startswith(TILTED)
    if is_tilted:
        picture = blur(move(picture, random.uniform(-4, 4), random.randint(-2, 3), random.randint(-2, 3)))
    noise = torch.from_numpy(random.random_sample((SIZE, SIZE)) < (0.01 if is_tilted else 0.001))
    return torch.where(noise, 1.0, picture)


def move(picture, degrees, right, down):
    """Rotates about the center, then shifts, with bilinear sampling."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x, y = -2 * right / SIZE, -2 * down / SIZE
    matrix = torch.tensor([[[cos, sin, cos * x + sin * y], [-sin, cos, cos * y - sin * x]]])
    grid = F.affine_grid(matrix, (1, 1, SIZE, SIZE), align_corners=False)
    return F.grid_sample(picture[None, None], grid, align_corners=False)[0, 0]


def blur(picture):
    weights = torch.exp(-torch.arange(-2.0, 3) ** 2 / (2 * BLUR**2))
    kernel = torch.outer(weights, weights) / weights.sum() ** 2
    return F.conv2d(picture[None, None], kernel[None, None], padding=2)[0, 0]


def pixel_order():
    """The pixels by (radius, angle, x, y) about the center."""
    center = (SIZE - 1) / 2

    def key(index):
        y, x = divmod(index, SIZE)
        return (round(math.hypot(x - center, y - center), 9), math.atan2(y - center, x - center), x, y)

    return sorted(range(SIZE * SIZE), key=key)


def glyph_bits(text, bitmaps, order):
    """The picture of a token as 1024 bits."""
    strip = torch.cat([draw(character, bitmaps) for character in text], 1)
    picture = F.interpolate(strip[None, None], (SIZE, SIZE), mode="bilinear", align_corners=False)[0, 0]
    return (picture * 255 > 128).flatten()[order]


def codes_of(bits, width):
    """The first principal components, each row scaled to length 1. [V, width]"""
    centered = bits.double() - bits.double().mean(0)
    return F.normalize(centered @ torch.linalg.svd(centered, full_matrices=False).Vh[:width].T, dim=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--unifont", type=Path, required=True, help="unifont.hex of Debian's package unifont")
    parser.add_argument("--tokenizer", type=Path, required=True, help="tokenizer.json")
    parser.add_argument("--n-embed", type=int, default=64, help="numbers in a code (default: 64)")
    parser.add_argument("--out", type=Path, required=True, help="safetensors file to write; must not exist")
    arguments = parser.parse_args()
    if arguments.out.exists():
        parser.error(f"--out {arguments.out} exists")
    for path in (arguments.unifont, arguments.tokenizer):
        if not path.is_file():
            parser.error(f"{path} does not exist")
    vocabulary = Tokenizer.from_file(str(arguments.tokenizer)).get_vocab()
    V = max(vocabulary.values()) + 1
    if not 1 <= arguments.n_embed <= min(SIZE * SIZE, V - 1):
        parser.error(f"--n-embed must be from 1 to {min(SIZE * SIZE, V - 1)}")
    texts = {token: text for text, token in vocabulary.items()}
    bitmaps, order = read_bitmaps(arguments.unifont), pixel_order()
    bits = torch.stack([glyph_bits(texts.get(token) or " ", bitmaps, order) for token in range(V)])
    different = len(torch.unique(bits, dim=0))
    table = codes_of(bits, arguments.n_embed).float().numpy()
    save_file({"token_embeddings.weight": table}, arguments.out, {"kind": "glyph", "seed": str(SEED)})
    print(f"golden: {V} tokens, {different} different pictures", file=sys.stderr)


if __name__ == "__main__":
    main()
