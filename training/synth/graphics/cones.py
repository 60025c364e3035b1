"""Depth images of round cones, in closed form.

A round cone is the hull of two spheres. Looking along z, the sphere of the sweep that is nearest to the
viewer
at a pixel solves a concave maximisation with one root, so every pixel costs a few products and one square
root; the normal is the direction from that sphere's centre.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.synth.hand.anatomy import Cones

F32 = NDArray[np.float32]

FAR = np.float32(-1e9)


@dataclass
class DepthImage:
    """`z` [h,w] towards the viewer in pixels (FAR: nothing), `cone` [h,w] index or -1, `t` [h,w] along the
    cone."""

    z: F32
    cone: NDArray[np.int32]
    t: F32

    @classmethod
    def empty(cls, height: int, width: int) -> DepthImage:
        return cls(
            np.full((height, width), FAR, np.float32),
            np.full((height, width), -1, np.int32),
            np.zeros((height, width), np.float32),
        )


def rasterise(cones: Cones, into: DepthImage, first: int = 0) -> None:
    """Draw cones given in pixels (x right, y down, z to the viewer) into a depth image, nearest wins.

    `first` is added to the cone index, so that several hands share one image.
    """
    height, width = into.z.shape
    a = cones.a.astype(np.float32)
    d = (cones.b - cones.a).astype(np.float32)
    ra = cones.ra.astype(np.float32)
    dr = (cones.rb - cones.ra).astype(np.float32)
    low = np.minimum(cones.a[:, :2] - cones.ra[:, None], cones.b[:, :2] - cones.rb[:, None])
    high = np.maximum(cones.a[:, :2] + cones.ra[:, None], cones.b[:, :2] + cones.rb[:, None])
    low = np.clip(np.floor(low).astype(int), 0, [width, height])
    high = np.clip(np.ceil(high).astype(int) + 1, 0, [width, height])
    for i in range(len(ra)):
        (x0, y0), (x1, y1) = low[i], high[i]
        if x1 <= x0 or y1 <= y0:
            continue
        z, t = _cone_depth(x0, y0, x1, y1, a[i], d[i], float(ra[i]), float(dr[i]))
        window = (slice(y0, y1), slice(x0, x1))
        nearer = z > into.z[window]
        np.copyto(into.z[window], z, where=nearer)
        np.copyto(into.t[window], t, where=nearer)
        np.copyto(into.cone[window], np.int32(first + i), where=nearer)


def _cone_depth(x0: int, y0: int, x1: int, y1: int, a: F32, d: F32, ra: float, dr: float) -> tuple[F32, F32]:
    px = np.arange(x0, x1, dtype=np.float32)[None, :] - a[0]
    py = np.arange(y0, y1, dtype=np.float32)[:, None] - a[1]
    dx, dy, dz = float(d[0]), float(d[1]), float(d[2])
    # Q(t) = (radius at t)^2 - (distance to the axis point at t)^2 = A t^2 + B t + C
    qa = dr * dr - dx * dx - dy * dy
    qb = 2.0 * (px * np.float32(dx) + py * np.float32(dy) + np.float32(ra * dr))
    qc = np.float32(ra * ra) - (px * px + py * py)
    if qa < -1e-6:
        disc = np.maximum(qb * qb - np.float32(4.0 * qa) * qc, 0)
        t = qb * np.float32(-0.5 / qa)
        if dz != 0.0:
            t += np.sqrt(disc) * np.float32(dz / (-2.0 * qa * np.sqrt(dz * dz - qa)))
        np.clip(t, 0, 1, out=t)
    else:  # seen end on: the best of the two spheres and, where there is one, the tangent sphere between
        t, z = np.zeros_like(qb), np.full_like(qb, FAR)
        between = np.zeros_like(qb)
        if qa > 1e-6 and dz * dz > qa:
            root = np.sqrt(np.maximum(qb * qb - np.float32(4.0 * qa) * qc, 0) / np.float32(dz * dz - qa))
            between = np.clip((-qb - np.float32(dz) * root) / np.float32(2 * qa), 0, 1)
        for candidate in (between, t, np.ones_like(qb)):
            q = (np.float32(qa) * candidate + qb) * candidate + qc
            depth = np.where(q >= 0, a[2] + np.float32(dz) * candidate + np.sqrt(np.maximum(q, 0)), FAR)
            better = depth > z
            t, z = np.where(better, candidate, t), np.where(better, depth, z)
        return z.astype(np.float32, copy=False), t.astype(np.float32, copy=False)
    q = (np.float32(qa) * t + qb) * t + qc
    z = np.where(q >= 0, a[2] + np.float32(dz) * t + np.sqrt(np.maximum(q, 0)), FAR)
    return z.astype(np.float32, copy=False), t


def surface(cones: Cones, cone: NDArray[np.int32], t: F32, x: F32, y: F32, z: F32) -> tuple[F32, F32]:
    """Unit normals [n,3] and positions along the finger [n] of pixels `x`, `y`, `z` hit at `cone`, `t`."""
    a, d = cones.a.astype(np.float32), (cones.b - cones.a).astype(np.float32)
    normal = np.empty((len(cone), 3), np.float32)
    squares = np.zeros(len(cone), np.float32)
    for i, values in enumerate((x, y, z)):
        part = values - a[:, i][cone] - d[:, i][cone] * t
        normal[:, i] = part
        squares += part * part
    normal /= np.maximum(np.sqrt(squares), 1e-6)[:, None]
    s0, s1 = cones.s0.astype(np.float32), cones.s1.astype(np.float32)
    return normal, s0[cone] + (s1 - s0)[cone] * t
