# SPDX-License-Identifier: GPL-3.0-or-later
"""Is noise white and Gaussian, and does it belong to the surfaces? Statistics of fields of latents, for tests and the bench."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import kolmogorov, ndtr

Fields = NDArray[np.floating[Any]]
Places = tuple[NDArray[np.intp], NDArray[np.intp]]

#: (lowest, highest) of :func:`whiteness` that white Gaussian noise is let through with
GATES = {"mean": (-0.02, 0.02), "variance": (0.97, 1.03), "kurtosis": (-0.1, 0.1), "ks_share": (0.0, 0.06),
         "moran_mean": (-0.2, 0.2), "moran_sd": (0.9, 1.15), "band_min": (0.97, 1.03), "band_max": (0.97, 1.03)}
#: borders of the four radial bands, cycles per cell
BANDS = (0.0, 0.1, 0.25, 0.4, 0.71)
#: latents that an instance is judged from at the least
LEAST = 15


def whiteness(fields: Fields) -> dict[str, float]:
    """What GATES judges of ``fields`` (C, T, h, w), each a picture of its own: their common ``mean``, their mean ``variance``,
    excess ``kurtosis``, ``ks_share`` with p < 0.05 against N(0, 1), mean and deviation of Moran's z, least and greatest band."""
    flat = fields.astype(np.float64).reshape(*fields.shape[:2], -1)
    deviation = flat - flat.mean(axis=-1, keepdims=True)
    moran, bands = moran_z(deviation.reshape(fields.shape)), band_powers(fields)
    return {"mean": float(flat.mean()), "variance": float(flat.var(axis=-1).mean()),
            "kurtosis": float((deviation ** 4).mean() / (deviation ** 2).mean() ** 2 - 3.0),
            "ks_share": float((ks_p(flat) < 0.05).mean()), "moran_mean": float(moran.mean()),
            "moran_sd": float(moran.std()), "band_min": min(bands), "band_max": max(bands)}


def failed(figures: dict[str, float], gates: dict[str, tuple[float, float]] = GATES) -> dict[str, float]:
    """Those of ``figures`` that lie outside their gate."""
    return {name: value for name, value in figures.items() if not gates[name][0] <= value <= gates[name][1]}


def ks_p(flat: Fields) -> NDArray[np.float64]:
    """p values (...) of Kolmogorov and Smirnov's test of values (..., N) against N(0, 1) (correction: Stephens 1970)."""
    ordered, count = np.sort(flat, axis=-1), flat.shape[-1]
    above = ndtr(ordered) - np.arange(count) / count
    distance = np.maximum(above, 1 / count - above).max(axis=-1)
    return np.asarray(kolmogorov(distance * (np.sqrt(count) + 0.12 + 0.11 / np.sqrt(count))))


def moran_z(deviation: Fields) -> NDArray[np.float64]:
    """(...) Moran's I (1950) with rook neighbours over its standard error, of fields (..., h, w) without their mean."""
    pairs = [(deviation[..., 1:], deviation[..., :-1]), (deviation[..., 1:, :], deviation[..., :-1, :])]
    height, width = deviation.shape[-2:]
    weight, count = height * (width - 1) + (height - 1) * width, height * width
    total = sum((one * other).sum(axis=(-2, -1)) for one, other in pairs)
    return np.asarray((count / weight * total / (deviation ** 2).sum(axis=(-2, -1)) + 1 / (count - 1)) * np.sqrt(weight))


def band_powers(fields: Fields) -> list[float]:
    """Mean power of fields (C, T, h, w) in each of the BANDS; 1 for white noise of variance 1."""
    power = (np.abs(np.fft.fft2(fields)) ** 2).mean(axis=(0, 1)) / fields[0, 0].size
    radius = np.hypot(np.fft.fftfreq(fields.shape[-2])[:, None], np.fft.fftfreq(fields.shape[-1]))
    return [float(power[(radius > low) & (radius <= high)].mean()) for low, high in pairwise(BANDS)]


def same_points(at: Fields, cell: int) -> tuple[Places, Places]:
    """The latents of one picture whose middle another picture shows, and the latents there: (rows, columns) of each.

    ``at`` (H, W, 2): where each pixel's point lies in the other picture, px, the first pixel's centre at (0, 0); NaN where
    it is not seen. ``cell`` pixels are a latent's side; its middle is the pixel right of and below its centre.
    """
    middle = at[cell // 2::cell, cell // 2::cell]
    rows, columns = np.nonzero(np.isfinite(middle).all(-1))
    there = np.floor((middle[rows, columns] + 0.5) / cell).astype(np.intp)
    height, width = at.shape[0] // cell, at.shape[1] // cell
    inside = ((there >= 0) & (there < [width, height])).all(-1)
    return (rows[inside], columns[inside]), (there[inside, 1], there[inside, 0])


def by_owner(one: Fields, other: Fields, here: Places, there: Places, owner: NDArray[Any],
             least: int = LEAST) -> dict[int, float]:
    """For each ``owner`` (N,) of at least ``least`` latents, the mean product of the noise (C, h, w) of two pictures over the
    latents (N) that show the same point: the correlation of standard normal noise."""
    product = (one[:, *here].astype(np.float64) * other[:, *there]).mean(axis=0)
    numbers, counts = np.unique(owner, return_counts=True)
    return {int(number): float(product[owner == number].mean()) for number, count in zip(numbers, counts, strict=True)
            if count >= least}
