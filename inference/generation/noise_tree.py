# SPDX-License-Identifier: GPL-3.0-or-later
"""White noise over a set of points as a Haar basis on a tree of cells, with every coefficient hashed from its cell.

White noise gives every set of samples a Gaussian value: their sum over the square root of their number. The value of a
cell with n samples splits into those of its halves, with n1 and n2 samples, by a rotation with one fresh Gaussian g
(the unbalanced Haar basis: Girardi and Sweldens 1997, A new class of unbalanced Haar wavelets)::

    left  = sqrt(n1 / n) value + sqrt(n2 / n) g
    right = sqrt(n2 / n) value - sqrt(n1 / n) g

Rotations keep independent standard Gaussians independent and standard, so that the result is white whatever the samples
are. A half without samples leaves the value as it was, so that a surface in space costs what a picture costs, and a few
samples more or less on one side turn the values by little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]
Ints = NDArray[np.int64]
Array = NDArray[np.float64]

WORD = 63                   # bits of each of the two words of a place
_SAME = 1 << 10             # the depth of a gap between samples that no bit tells apart
_ROOT = 1 << 11             # stands for the depth of the node above all splits
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_CHUNK = 1 << 15            # values drawn at a time: what stays in a core's cache

# Wichura 1988, Algorithm AS 241 (PPND16): numerators and denominators, highest power first
_CENTRE = ((2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4, 4.5921953931549871457e4,
            1.3731693765509461125e4, 1.9715909503065514427e3, 1.3314166789178437745e2, 3.3871328727963666080e0),
           (5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4, 2.1213794301586595867e4,
            5.3941960214247511077e3, 6.8718700749205790830e2, 4.2313330701600911252e1, 1.0))
_TAIL = ((7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1, 1.27045825245236838258e0,
          3.64784832476320460504e0, 5.76949722146069140550e0, 4.63033784615654529590e0, 1.42343711074968357734e0),
         (1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2, 1.48103976427480074590e-1,
          6.89767334985100004550e-1, 1.67638483018380384940e0, 2.05319162663775882187e0, 1.0))
_FAR = ((2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3, 2.65321895265761230930e-2,
         2.96560571828504891230e-1, 1.78482653991729133580e0, 5.46378491116411436990e0, 6.65790464350110377720e0),
        (2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5, 7.86869131145613259100e-4,
         1.48753612908506148525e-2, 1.36929880922735805310e-1, 5.99832206555887937690e-1, 1.0))
_LN2 = 0.6931471805599453


def mixed(x: Keys) -> Keys:
    """SplitMix64's finaliser (Steele, Lea, Flood 2014): a bijection of words in which each bit depends on all."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def hashed(*words: Keys) -> Keys:
    """One 64-bit word from several (N,): the same on every machine, unlike Python's hash()."""
    state = np.zeros_like(words[0])
    for word in words:
        state = mixed((state ^ word) + _GOLDEN)
    return state


def gaussians(keys: Keys, channels: int) -> Array:
    """(N, channels) standard Gaussians, functions of the keys (N,) alone: SplitMix64's sequence from each key, through
    the inverse normal distribution."""
    out = np.empty((len(keys), channels))
    steps = np.arange(1, channels + 1, dtype=np.uint64) * _GOLDEN
    rows = max(1, _CHUNK // channels)
    for start in range(0, len(keys), rows):
        bits = mixed(keys[start:start + rows, None] + steps)
        # 52 bits and a half: never 0 or 1
        out[start:start + rows] = inverse_normal(((bits >> np.uint64(12)).astype(np.float64) + 0.5) / 2.0 ** 52)
    return out


def inverse_normal(p: Array) -> Array:
    """The quantile of the standard normal distribution at ``p`` in (0, 1), to about 1e-15 relative (AS 241).

    Every step is an addition, multiplication, division or square root of one array, which IEEE 754 rounds in one way
    only, so that machines and builds of numpy agree to the last bit; with a library's log and cos they do not.
    """
    q = p - 0.5
    out: Array = q * _rational(0.180625 - q * q, _CENTRE)
    outer = np.nonzero(np.abs(q) > 0.425)
    side = p[outer]
    r = np.sqrt(-_log(np.minimum(side, 1.0 - side)))
    tail = _rational(r - 1.6, _TAIL)
    far = r > 5.0
    tail[far] = _rational(r[far] - 5.0, _FAR)
    out[outer] = np.where(side < 0.5, -tail, tail)
    return out


def _rational(x: Array, coefficients: tuple[tuple[float, ...], tuple[float, ...]]) -> Array:
    values = []
    for polynomial in coefficients:
        value = np.full_like(x, polynomial[0])
        for coefficient in polynomial[1:]:
            value *= x
            value += coefficient
        values.append(value)
    values[0] /= values[1]
    return values[0]


def _log(x: Array) -> Array:
    """The natural logarithm, by ln m = 2 artanh((m - 1) / (m + 1)) for m in [sqrt(1/2), sqrt(2))."""
    mantissa, exponent = np.frexp(x)
    low = mantissa < 0.7071067811865476
    mantissa = np.where(low, 2.0 * mantissa, mantissa)
    s = (mantissa - 1.0) / (mantissa + 1.0)
    square = s * s
    series = np.zeros_like(s)
    for power in range(21, 0, -2):                   # |s| < 0.172: what is left out is below 1e-18
        series = series * square + 1.0 / power
    result: Array = (exponent - low) * _LN2 + 2.0 * s * series
    return result


@dataclass(frozen=True, eq=False)
class Tree:
    """The cells of one picture's samples, as deep as they are shared by several bins.

    A leaf holds neighbouring samples of one bin: ``bins`` (L,) and ``weight`` (L,), the square root of how many.
    Roots: the first leaf ``root`` (R,) and the key ``root_key`` (R,). Splits, the shallow ones first: ``left`` and
    ``right`` (K,) are the first leaves of the halves, ``cos`` and ``sin`` (K,) the rotation, ``key`` (K,); ``levels``
    (D + 1,) says where each depth begins among them.
    """

    bins: Ints
    weight: Array
    root: Ints
    root_key: Keys
    left: Ints
    right: Ints
    cos: Array
    sin: Array
    key: Keys
    levels: Ints

    def keys(self) -> Keys:
        """(R + K,) the key of every Gaussian that :meth:`spread` needs."""
        return np.concatenate([self.root_key, self.key])

    def spread(self, draws: Array, count: int) -> Array:
        """(C, count): each bin's sum over its samples of the white noise with coefficients ``draws`` (R + K, C)."""
        values = np.empty((len(self.bins), draws.shape[1]))
        values[self.root] = draws[:len(self.root)]
        fresh = draws[len(self.root):]
        for start, end in zip(self.levels[:-1], self.levels[1:], strict=True):
            left, g = self.left[start:end], fresh[start:end]
            cos, sin = self.cos[start:end, None], self.sin[start:end, None]
            value = values[left]
            values[left] = cos * value + sin * g
            values[self.right[start:end]] = sin * value - cos * g
        values *= self.weight[:, None]
        # bincount adds in order, so that the rounding is the same everywhere; numpy's own sums are blocked by processor
        return np.stack([np.bincount(self.bins, channel, count) for channel in values.T])


def grow(domain: Keys, high: Keys, low: Keys, bins: Ints) -> Tree:
    """The trees of samples (N,), one for each ``domain``, split by the bits of ``high``, then ``low`` (``WORD`` bits
    each, a place as a Morton code), then of ``bins``, which tell apart what shares a smallest cell."""
    order = np.lexsort((bins, low, high, domain))
    domain, high, low, bins = domain[order], high[order], low[order], bins[order]
    depth = _depths(domain, high, low, bins)
    first, last = _extents(depth)
    changes = np.concatenate([[0], np.cumsum(bins[1:] != bins[:-1])])
    shared = changes[first] != changes[last]         # a cell within one bin adds up to its value, however it is split
    gaps = np.flatnonzero((depth >= 0) & shared)
    gaps = gaps[np.argsort(depth[gaps], kind="stable")]
    starts = np.concatenate([[0], np.sort(np.concatenate([gaps, np.flatnonzero(depth < 0)])) + 1])
    roots = np.concatenate([[0], np.flatnonzero(depth < 0) + 1])
    left, right = (gaps - first[gaps] + 1).astype(np.float64), (last[gaps] - gaps).astype(np.float64)
    level = depth[gaps]
    return Tree(
        bins=bins[starts], weight=np.sqrt(np.diff(starts, append=len(bins)).astype(np.float64)),
        root=np.searchsorted(starts, roots),
        root_key=hashed(domain[roots], np.full(len(roots), _ROOT, np.uint64)),
        left=np.searchsorted(starts, first[gaps]), right=np.searchsorted(starts, gaps + 1),
        cos=np.sqrt(left / (left + right)), sin=np.sqrt(right / (left + right)),
        key=hashed(domain[gaps], level.astype(np.uint64), _prefix(high[gaps], level), _prefix(low[gaps], level - WORD),
                   _prefix(bins[gaps].astype(np.uint64), level - 2 * WORD)),
        levels=np.concatenate([np.flatnonzero(np.diff(level, prepend=-1)), [len(gaps)]]).astype(np.int64))


def _depths(domain: Keys, high: Keys, low: Keys, bins: Ints) -> Ints:
    """(N - 1,) how many leading bits neighbours have in common; -1 between domains."""
    depth = np.full(len(domain) - 1, _SAME, np.int64)
    words = (bins.astype(np.uint64), low, high)
    for index, word in enumerate(words):
        differing = word[1:] ^ word[:-1]
        depth = np.where(differing != 0, (len(words) - index) * WORD - _bit_length(differing), depth)
    return np.where(domain[1:] != domain[:-1], -1, depth)


def _bit_length(x: Keys) -> Ints:
    """Bits of each word; in two parts, each of which a float64 holds exactly."""
    upper, lower = (x >> np.uint64(32)).astype(np.float64), (x & np.uint64(0xFFFFFFFF)).astype(np.float64)
    return np.where(upper > 0, np.frexp(upper)[1] + 32, np.frexp(lower)[1]).astype(np.int64)


def _prefix(word: Keys, bits: Ints) -> Keys:
    """The first ``bits`` of each ``WORD``-bit word; 0 of them for a negative number, all for a large one."""
    return word >> (WORD - np.clip(bits, 0, WORD)).astype(np.uint64)


def _extents(depth: Ints) -> tuple[Ints, Ints]:
    """The first and the last sample (N - 1,) of the cell that each gap splits: to the next shallower gap either way.

    Bits part a cell into two halves, so that it has one gap of its depth; only gaps between equal samples share theirs.
    """
    first, last = np.zeros_like(depth), np.full_like(depth, len(depth))
    for level in np.unique(depth):
        if level < 0:
            continue
        gaps = np.flatnonzero(depth == level)
        borders = np.flatnonzero(depth < level)
        if not len(borders):
            continue
        after = np.searchsorted(borders, gaps)
        first[gaps] = np.where(after > 0, borders[after - 1] + 1, 0)
        last[gaps] = np.where(after < len(borders), borders[np.minimum(after, len(borders) - 1)], len(depth))
    return first, last
