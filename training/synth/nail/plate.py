"""Nails on fingers: patches of cylinders, intersected with the viewing rays in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.synth.nail.shape import Outline

F32 = NDArray[np.float32]


@dataclass(frozen=True)
class Plate:
    """A nail in space, in pixels (x right, y down, z to the viewer).

    `origin` [3]: the surface at the cuticle; `axis`, `dorsal`, `lateral` [3]: unit vectors; `radius` of the
    transverse curve; `half_width` along that curve; `arch`: lengthwise curve of the normals in radians.
    """

    origin: NDArray[np.float64]
    axis: NDArray[np.float64]
    dorsal: NDArray[np.float64]
    lateral: NDArray[np.float64]
    radius: float
    half_width: float
    arch: float
    outline: Outline

    @property
    def centre(self) -> NDArray[np.float64]:
        """Middle of the nail's surface."""
        return self.origin + 0.5 * self.outline.length * self.half_width * self.axis

    def window(self, width: int, height: int, margin: float) -> tuple[int, int, int, int]:
        """Pixels x0, y0, x1, y1 that can see the plate or its surroundings (`margin` half widths),
        clipped."""
        length = self.outline.length + margin
        corners = []
        for along in (-margin, length):
            for across in (-1 - margin, 1 + margin):
                point = self.origin + self.half_width * (along * self.axis + across * self.lateral)
                corners += [point, point - self.radius * 0.8 * self.dorsal]
        points = np.array(corners)[:, :2]
        low, high = np.floor(points.min(0)).astype(int), np.ceil(points.max(0)).astype(int) + 1
        x0, y0 = np.clip(low, 0, [width, height])
        x1, y1 = np.clip(high, 0, [width, height])
        return int(x0), int(y0), int(x1), int(y1)


@dataclass
class PlateView:
    """What the rays through a window see of a plate: arrays [h,w] (normals [h,w,3]).

    `x`, `y`: nail coordinates in half widths; `inside`: signed distance to the outline in pixels; `front`:
    the upper side faces the viewer; `z`: depth in pixels.
    """

    x: F32
    y: F32
    z: F32
    normal: F32
    inside: F32
    front: bool


def view_plate(plate: Plate, window: tuple[int, int, int, int], back: bool = False) -> PlateView | None:
    """Intersect the rays of a window with the plate's outer (or, with `back`, inner) side; None if edge
    on."""
    x0, y0, x1, y1 = window
    axis, dorsal, lateral = (v.astype(np.float32) for v in (plate.axis, plate.dorsal, plate.lateral))
    centre = (plate.origin - plate.radius * plate.dorsal).astype(np.float32)
    e = -axis * axis[2]
    e[2] += 1  # the viewing direction without its part along the axis
    ee = float(e @ e)
    if ee < 0.06:
        return None
    qx = np.arange(x0, x1, dtype=np.float32)[None, :] - centre[0]
    qy = np.arange(y0, y1, dtype=np.float32)[:, None] - centre[1]
    q_axis = qx * axis[0] + qy * axis[1] - centre[2] * axis[2]
    # q without its part along the axis; z is still free: w(z) = w0 + z e
    wx, wy, wz = qx - q_axis * axis[0], qy - q_axis * axis[1], -centre[2] - q_axis * axis[2]
    half_b = wx * e[0] + wy * e[1] + wz * e[2]
    disc = half_b * half_b - np.float32(ee) * (wx * wx + wy * wy + wz * wz - np.float32(plate.radius**2))
    hit = disc >= 0
    root = np.sqrt(np.maximum(disc, 0))
    z = (-half_b + (-root if back else root)) / np.float32(ee)
    wx, wy, wz = wx + z * e[0], wy + z * e[1], wz + z * e[2]
    sine = (wx * lateral[0] + wy * lateral[1] + wz * lateral[2]) / np.float32(plate.radius)
    cosine = (wx * dorsal[0] + wy * dorsal[1] + wz * dorsal[2]) / np.float32(plate.radius)
    theta = np.arctan2(sine, cosine)
    x = theta * np.float32(plate.radius / plate.half_width)
    y = (q_axis + z * axis[2]) / np.float32(plate.half_width)
    inside = plate.outline.inside(x, y) * np.float32(plate.half_width)
    inside[~hit] = -1e3
    bend = (y / plate.outline.length - 0.5) * np.float32(plate.arch)
    normal = np.stack([wx, wy, wz], axis=2) / np.float32(plate.radius) + bend[..., None] * axis
    if back:
        normal = -normal
    normal /= np.maximum(np.linalg.norm(normal, axis=2, keepdims=True), 1e-6)
    return PlateView(x, y, z, normal, inside, not back)
