"""What is known about a photo, as one JSON object."""

from __future__ import annotations

from typing import Any

import numpy as np

from nails.perception.crop_rules import choose_crop
from nails.perception.hands import FINGERS
from training.synth.design.designs import Design, Look
from training.synth.design.fit import infer_mood
from training.synth.scene.layout import Layout
from training.synth.scene.render import Rendered


def make_record(seed: int, kind: str, layout: Layout, design: Design, rendered: Rendered) -> dict[str, Any]:
    """Nails, hands and attributes of a photo."""
    nails: list[dict[str, Any]] = []
    for nail in rendered.nails:
        ys, xs = np.nonzero(rendered.mask == nail.instance)
        if not len(ys):
            continue
        look = design.looks[nail.finger]
        nails.append(
            {
                "instance": nail.instance,
                "hand": nail.hand,
                "finger": FINGERS[nail.finger],
                "box": [int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1],
                "area": len(ys),
                "centroid": [round(float(xs.mean()), 2), round(float(ys.mean()), 2)],
                "attributes": look_attributes(look),
            }
        )
    hands = [_hand(index, layout, rendered) for index in range(len(layout.hands))]
    feet = hands if layout.arrangement == "feet" else []
    if feet:  # nobody should learn hands from feet
        hands = []
        for entry in nails:
            entry["body"] = "foot"
    return {
        "seed": seed,
        "kind": kind,
        "size": [layout.width, layout.height],
        "arrangement": layout.arrangement,
        "framing": layout.framing,
        "tone": layout.hands[0].skin.tone + 1 if layout.hands else 0,
        "body": "foot" if feet else "hand",
        "nails": nails,
        "seen": _seen(nails, design),
        "hands": hands,
        **({"feet": feet} if feet else {}),
        "crop": _crop(nails, hands, (layout.width, layout.height)),
        "attributes": design_attributes(design),
    }


def _seen(nails: list[dict[str, Any]], design: Design) -> dict[str, int]:
    """How many nails of the main look and of the accent are in view."""
    accent = sum(nail["finger"] in design.accent_fingers for nail in nails)
    return {"main": len(nails) - accent, "accent": accent}


def is_visible(record: dict[str, Any]) -> bool:
    """Whether a photo shows its design: two nails at least, and the accent beside the main look if there is
    one."""
    seen = record["seen"]
    two_looks = "accent" in record["attributes"]
    return seen["main"] + seen["accent"] >= 2 and (not two_looks or min(seen["main"], seen["accent"]) >= 1)


def _crop(nails: list[dict[str, Any]], hands: list[dict[str, Any]], size: tuple[int, int]) -> dict[str, Any]:
    """The crop that the rules give when perception is perfect."""
    joints = [
        np.array([[x, y, 1.0 if visible else 0.0] for x, y, visible in hand["joints"]]) for hand in hands
    ]
    crop = choose_crop(
        np.array([nail["box"] for nail in nails], float),
        np.array([nail["centroid"] for nail in nails], float),
        np.array([nail["area"] for nail in nails], float),
        joints,
        size,
    )
    return {"box": [float(v) for v in crop.box], "rule": int(crop.rule), "target_hand": crop.target_hand}


def _hand(index: int, layout: Layout, rendered: Rendered) -> dict[str, Any]:
    hand = layout.hands[index]
    joints = []
    slack = 0.16 * hand.scale  # joints lie inside the flesh
    for x, y, z in hand.joints:
        inside = 0 <= x < layout.width and 0 <= y < layout.height
        visible = 0
        if inside:
            front = rendered.depth.z[int(y), int(x)]
            visible = 2 if front <= z + 1.6 * slack else 1
        joints.append([round(float(x), 2), round(float(y), 2), visible])
    ys, xs = np.nonzero(rendered.hand == index)
    box = [int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1] if len(ys) else [0, 0, 0, 0]
    return {"side": hand.side, "manner": hand.manner, "joints": joints, "box": box}


def look_attributes(look: Look) -> dict[str, Any]:
    """Attributes of one nail."""
    if look.bare:
        return {"colour": "clear", "finish": look.finish, "pattern": "plain", "bare": "true"}
    out: dict[str, Any] = {"colour": look.colour, "finish": look.finish, "pattern": look.pattern}
    if look.accents:
        out["pattern_colours"] = list(look.accents)
    if look.part:
        out["part"] = look.part
        out["part_colour"] = look.part_colour
    return out


def design_attributes(design: Design) -> dict[str, Any]:
    """Attributes of the whole set: those of the main look, and of the accent.

    `theme` is what a set was designed for, `mood` the theme that it suits although nobody asked for it.
    """
    out = {
        "shape": design.shape,
        "length": design.length,
        "arrangement": design.arrangement,
        **look_attributes(design.main),
    }
    if design.theme:
        out["theme"] = design.theme
    elif mood := infer_mood(design):
        out["mood"] = mood
    if design.accent is not None:
        out["accent"] = look_attributes(design.accent)
        out["accent_fingers"] = list(design.accent_fingers)
    if design.arrangement == "every":
        out["colour"] = list(dict.fromkeys(look.colour for look in design.looks))
    return out
