"""Ways people hold their hands for a nail photo, as distributions over joint angles and viewing
directions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.synth.hand.anatomy import Array, Pose

Range = tuple[float, float]

# How often each manner occurs. `hidden` manners show few nails: they teach what is not a nail.
MANNERS = {
    "flat": 0.24,  # back of the hand, fingers straight, spread or together
    "relaxed": 0.21,  # back of the hand, fingers slightly bent
    "curl": 0.24,  # palm to the camera, fingers folded so that the nails face it: the nail selfie
    "grip": 0.12,  # around a cup, a phone, a wheel
    "side": 0.06,  # seen from the thumb's or the little finger's side
    "fan": 0.07,  # knuckles bent, last bones straight towards the camera
    "fist": 0.06,
    "palm": 0.06,
}


@dataclass(frozen=True)
class View:
    """Hand to camera: degrees about the hand's length (`yaw`), across it (`pitch`) and in the picture
    (`roll`)."""

    yaw: float
    pitch: float
    roll: float

    def matrix(self) -> Array:
        """Rotation [3,3] from the hand frame (y up) to the camera (x right, y up, z to the viewer)."""
        yaw, pitch, roll = np.deg2rad([self.yaw, self.pitch, self.roll])
        cy, sy, cp, sp, cr, sr = (
            np.cos(yaw),
            np.sin(yaw),
            np.cos(pitch),
            np.sin(pitch),
            np.cos(roll),
            np.sin(roll),
        )
        about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
        about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
        return np.asarray(about_z @ about_x @ about_y)


def sample_pose(rng: np.random.Generator, manner: str, mirrored: bool) -> tuple[Pose, View]:
    """Draw joint angles and a viewing direction for a manner of `MANNERS`; `mirrored` for a left hand."""
    pose, view = _SAMPLERS[manner](rng)
    sign = -1.0 if mirrored else 1.0
    return pose, View(sign * view.yaw, view.pitch, sign * view.roll)


def _flex(
    rng: np.random.Generator, mcp: Range, pip: Range, dip: Range, slope: float = 0.0, noise: float = 5
) -> Array:
    """Angles [5,3]: one draw for the hand, a slope from index to little finger, noise for each joint."""
    base = np.array([rng.uniform(*mcp), rng.uniform(*pip), rng.uniform(*dip)])
    fingers = np.arange(5)[:, None] - 2.5
    flex = base + slope * fingers + rng.normal(0, noise, (5, 3))
    flex[0] = [rng.uniform(0, 12), rng.uniform(0, 25), rng.uniform(-8, 30)]
    return np.asarray(flex)


def _roll(rng: np.random.Generator) -> float:
    """Mostly fingers up, sometimes sideways, sometimes down."""
    return float(
        rng.choice([rng.normal(0, 30), rng.uniform(-110, 110), rng.uniform(-180, 180)], p=[0.5, 0.3, 0.2])
    )


def _wrist(rng: np.random.Generator) -> tuple[float, float]:
    return float(rng.normal(0, 18)), float(rng.normal(0, 12))


def _flat(rng: np.random.Generator) -> tuple[Pose, View]:
    flex = _flex(rng, (-8, 14), (0, 14), (-2, 8), noise=3.5)
    spread = np.abs(rng.normal(rng.choice([1.0, 7.0, 14.0]), 2.0, 5))
    thumb = (rng.uniform(12, 62), rng.uniform(-5, 28), rng.uniform(30, 80))
    view = View(rng.normal(0, 13), rng.normal(-4, 16), _roll(rng))
    return Pose(flex, spread, thumb, _wrist(rng)), view


def _relaxed(rng: np.random.Generator) -> tuple[Pose, View]:
    flex = _flex(rng, (5, 32), (10, 42), (4, 22), slope=rng.uniform(0, 6))
    spread = np.abs(rng.normal(rng.uniform(0, 6), 1.8, 5))
    thumb = (rng.uniform(5, 50), rng.uniform(5, 40), rng.uniform(30, 85))
    view = View(rng.normal(0, 20), rng.normal(12, 18), _roll(rng))
    return Pose(flex, spread, thumb, _wrist(rng)), view


def _side(rng: np.random.Generator) -> tuple[Pose, View]:
    flex = _flex(rng, (0, 40), (5, 60), (0, 30), slope=rng.uniform(0, 6))
    spread = np.abs(rng.normal(rng.uniform(0, 8), 2.5, 5))
    thumb = (rng.uniform(0, 60), rng.uniform(0, 45), rng.uniform(20, 100))
    view = View(rng.choice([-1, 1]) * rng.uniform(40, 100), rng.normal(10, 25), _roll(rng))
    return Pose(flex, spread, thumb, _wrist(rng)), view


def _curl(rng: np.random.Generator) -> tuple[Pose, View]:
    flex = _flex(rng, (35, 80), (70, 104), (18, 48), slope=rng.uniform(-2, 4), noise=4)
    spread = np.abs(rng.normal(1.5, 1.5, 5))
    thumb = (rng.uniform(0, 45), rng.uniform(10, 45), rng.uniform(50, 115))
    flex[0] = [rng.uniform(0, 25), rng.uniform(0, 35), rng.uniform(-5, 45)]
    view = View(180 + rng.normal(0, 22), rng.normal(5, 22), _roll(rng) + rng.choice([0, 0, 90]))
    return Pose(flex, spread, thumb, _wrist(rng)), view


def _grip(rng: np.random.Generator) -> tuple[Pose, View]:
    flex = _flex(rng, (25, 60), (25, 60), (10, 35), slope=rng.uniform(-2, 2), noise=4)
    spread = np.abs(rng.normal(4, 2.5, 5))
    thumb = (rng.uniform(15, 60), rng.uniform(20, 60), rng.uniform(40, 95))
    view = View(rng.normal(0, 28), rng.normal(42, 20), _roll(rng))
    return Pose(flex, spread, thumb, _wrist(rng)), view


def _fan(rng: np.random.Generator) -> tuple[Pose, View]:
    flex = _flex(rng, (40, 75), (25, 60), (5, 25), slope=rng.uniform(0, 5))
    spread = np.abs(rng.normal(3, 2.0, 5))
    thumb = (rng.uniform(5, 40), rng.uniform(10, 40), rng.uniform(40, 100))
    view = View(rng.normal(0, 22), rng.normal(78, 18), _roll(rng))
    return Pose(flex, spread, thumb, _wrist(rng)), view


def _fist(rng: np.random.Generator) -> tuple[Pose, View]:
    flex = _flex(rng, (70, 95), (85, 108), (30, 65), noise=4)
    spread = np.abs(rng.normal(0.5, 0.8, 5))
    thumb = (rng.uniform(0, 30), rng.uniform(20, 50), rng.uniform(60, 110))
    flex[0] = [rng.uniform(10, 35), rng.uniform(15, 50), rng.uniform(5, 55)]
    view = View(rng.choice([0, 180]) + rng.normal(0, 35), rng.normal(10, 35), _roll(rng))
    return Pose(flex, spread, thumb, _wrist(rng)), view


def _palm(rng: np.random.Generator) -> tuple[Pose, View]:
    flex = _flex(rng, (-5, 30), (0, 40), (0, 25), slope=rng.uniform(0, 5))
    spread = np.abs(rng.normal(rng.uniform(0, 12), 2.5, 5))
    thumb = (rng.uniform(10, 60), rng.uniform(0, 40), rng.uniform(20, 80))
    view = View(180 + rng.normal(0, 20), rng.normal(0, 20), _roll(rng))
    return Pose(flex, spread, thumb, _wrist(rng)), view


_SAMPLERS = {
    "flat": _flat,
    "relaxed": _relaxed,
    "side": _side,
    "curl": _curl,
    "grip": _grip,
    "fan": _fan,
    "fist": _fist,
    "palm": _palm,
}
