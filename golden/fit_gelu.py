"""Fits the polynomial of accel/gpu/gelu.ts, and measures both the fit and the kernel's own polynomial.

For a >= 0 and s = 1 / (1 + 0.35 a):   Phi(-a) = exp(-a^2 / 2) * s * P(s),   P of degree 8,

The fit is least squares on Chebyshev nodes, reweighted toward the largest relative error (Lawson). Truth is mpmath's
erfc with 30 digits. mpmath comes with PyTorch.
"""

import re
from pathlib import Path

import mpmath
import numpy as np

SCALE = 0.35
DEGREE = 8
MAX_A = 14.0  # Phi(-14) is 8e-45: below the smallest float32
NODES = 400
ROUNDS = 60


def scaled_tail(a: float) -> float:
    """exp(a^2 / 2) Phi(-a)"""
    x = mpmath.mpf(a)
    return float(mpmath.erfc(x / mpmath.sqrt(2)) / 2 * mpmath.exp(x * x / 2))


def fit() -> np.ndarray:
    """Coefficients of P, constant first."""
    min_s = 1 / (1 + SCALE * MAX_A)
    k = np.arange(NODES)
    s = (1 + min_s) / 2 + (1 - min_s) / 2 * np.cos(np.pi * (k + 0.5) / NODES)
    truth = np.array([scaled_tail((1 / x - 1) / SCALE) for x in s])
    powers = np.stack([s ** (i + 1) for i in range(DEGREE + 1)], axis=1) / truth[:, None]
    weight = np.ones(NODES)
    for _ in range(ROUNDS):
        coefficients = np.linalg.lstsq(powers * weight[:, None], weight, rcond=None)[0]
        error = np.abs(powers @ coefficients - 1)
        weight *= 0.7 + 0.3 * error / error.mean()
        weight /= weight.mean()
    return coefficients


def kernel_coefficients() -> np.ndarray:
    """The coefficients in the kernel, constant first."""
    source = (Path(__file__).parent.parent / "accel/gpu/gelu.ts").read_text()
    kernel = source[source.index("function exactKernel") : source.index("const tail")]
    numbers = re.findall(r"p = (?:p \* s ([+-]) )?(-?[0-9.]+)", kernel)
    return np.array([float(number) * (-1 if sign == "-" else 1) for sign, number in numbers])[::-1]


def report(name: str, coefficients: np.ndarray) -> None:
    a = np.linspace(0, MAX_A, 20001)
    truth = np.array([scaled_tail(x) for x in a])
    s = 1 / (1 + SCALE * a)
    relative = np.abs(s * np.polyval(coefficients[::-1], s) / truth - 1).max()

    x = a.astype(np.float32)
    one = np.float32(1)
    t = one / (one + np.float32(SCALE) * x)
    p = np.full_like(x, np.float32(coefficients[-1]))
    for c in coefficients[-2::-1].astype(np.float32):
        p = p * t + c
    tail = np.exp(np.float32(-0.5) * x * x) * t * p
    exact = np.array([float(mpmath.ncdf(-mpmath.mpf(float(v)))) for v in x])
    gelu = np.abs(x.astype(np.float64) * (tail.astype(np.float64) - exact)).max()
    print(f"{name}: relative error of Phi(-a) {relative:.1e}; in float32, x Phi(x) within {gelu:.1e} for x <= 0")


def fit_gelu() -> None:
    mpmath.mp.dps = 30
    own, found = kernel_coefficients(), fit()
    report("in accel/gpu/gelu.ts", own)
    report("fitted now", found)
    print(", ".join(repr(float(c)) for c in found))
    if len(own) != DEGREE + 1 or np.abs(own / found - 1).max() > 1e-4:
        raise SystemExit("fit_gelu: the coefficients in accel/gpu/gelu.ts differ from this fit")
