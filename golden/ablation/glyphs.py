"""Tokens drawn with GNU Unifont, after the recipe of UNI_GLYPH.

Each character is drawn at 32 pixels, centered on 32 x 32. An n-gram is drawn side by side on 32n x 32 and resized to
32 x 32. Differences from the published recipe: Unifont 15.0.01 instead of 14.0.01, bitmaps doubled instead of drawn by
a font engine, areas averaged instead of bilinear, no rotation, shift or blur. Salt noise differs between tokens: the
published noise starts anew for every glyph, so blank characters would share one picture.
"""

import torch
from torch.nn import functional as F

from ablation import sources

SIZE = 32
NOISE = 0.01  # share of pixels that salt noise sets, as published for Latin letters


def draw(character, bitmaps):
    """One character, [32, 32] of 0 and 1. A character without a bitmap is blank."""
    picture = torch.zeros(SIZE, SIZE, dtype=torch.double)
    rows = bitmaps.get(ord(character))
    if rows:
        drawn = torch.tensor(rows, dtype=torch.double).repeat_interleave(2, 0).repeat_interleave(2, 1)
        left = (SIZE - drawn.shape[1]) // 2
        picture[:, left : left + drawn.shape[1]] = drawn
    return picture


def drawn(strings):
    """The pictures of all tokens as rows of bits. [V, 1024]"""
    bitmaps = sources.unifont_bitmaps()
    generator = torch.Generator().manual_seed(42)
    pictures = []
    for string in strings:
        strip = torch.cat([draw(character, bitmaps) for character in string], 1)
        picture = F.adaptive_avg_pool2d(strip[None], SIZE)[0] > 0.5
        noise = torch.rand(SIZE, SIZE, generator=generator) < NOISE
        pictures.append((picture | noise).flatten())
    return torch.stack(pictures).double()
