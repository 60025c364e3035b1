"""Nail designs as data: what is painted on each of five nails, before anything is rendered."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from nails.perception.hands import FINGERS
from training.synth.design.themes import THEMES
from training.synth.holdout import pair_held_out

NUDES = ("nude", "beige", "pink_beige", "sheer_pink", "milky_white", "clear", "baby_pink", "peach")
METALS = ("gold", "silver", "rose_gold", "champagne", "bronze")
PLAIN_COLOURS = (
    "white",
    "milky_white",
    "ivory",
    "black",
    "grey",
    "charcoal",
    "greige",
    "nude",
    "beige",
    "pink_beige",
    "sheer_pink",
    "pink",
    "baby_pink",
    "hot_pink",
    "dusty_rose",
    "magenta",
    "coral",
    "peach",
    "red",
    "wine",
    "orange",
    "terracotta",
    "mustard",
    "yellow",
    "lemon",
    "neon_yellow",
    "lime",
    "mint",
    "green",
    "khaki",
    "dark_green",
    "teal",
    "turquoise",
    "sky_blue",
    "blue",
    "dusty_blue",
    "navy",
    "lavender",
    "mauve",
    "purple",
    "plum",
    "brown",
    "chocolate",
)
SHAPES = {
    "square": 0.12,
    "squoval": 0.2,
    "round": 0.18,
    "oval": 0.15,
    "almond": 0.18,
    "coffin": 0.1,
    "stiletto": 0.07,
}
LENGTHS = {"short": 0.38, "medium": 0.32, "long": 0.22, "extra_long": 0.08}
FINISHES = {
    "gloss": 0.46,
    "matte": 0.12,
    "glitter": 0.12,
    "chrome": 0.07,
    "cat_eye": 0.05,
    "aurora": 0.05,
    "jelly": 0.07,
    "pearl_sheen": 0.06,
}
PATTERNS = {
    "plain": 0.26,
    "french": 0.13,
    "half_moon": 0.025,
    "ombre": 0.06,
    "marble": 0.045,
    "dots": 0.045,
    "stripes": 0.045,
    "check": 0.035,
    "floral": 0.06,
    "leopard": 0.03,
    "hearts": 0.03,
    "stars": 0.03,
    "swirl": 0.035,
    "tortoiseshell": 0.02,
    "line_art": 0.03,
    "snow": 0.02,
    "fruit": 0.02,
    "flame": 0.02,
    "zigzag": 0.025,
    "splatter": 0.02,
    "half_half": 0.025,
    "cow": 0.015,
    "lattice": 0.02,
    "butterfly": 0.015,
}
PARTS = {
    "rhinestone": 0.3,
    "pearl": 0.13,
    "stud": 0.1,
    "gold_foil": 0.15,
    "silver_foil": 0.05,
    "chain": 0.05,
    "bow": 0.07,
    "shell": 0.03,
    "flower_3d": 0.06,
    "lace": 0.03,
    "sticker": 0.03,
}


@dataclass(frozen=True)
class Look:
    """Paint of one nail. `colour` and `accents` are names of nails.vocabulary; `part` "" means none."""

    colour: str
    finish: str = "gloss"
    pattern: str = "plain"
    accents: tuple[str, ...] = ()
    part: str = ""
    part_colour: str = ""
    bare: bool = False


@dataclass(frozen=True)
class Design:
    """A set of nails: `looks` thumb to little finger, `accent_fingers` those that differ from the rest."""

    shape: str
    length: str
    looks: tuple[Look, ...]
    accent_fingers: tuple[str, ...] = ()
    theme: str = ""
    arrangement: str = "same"
    tags: tuple[str, ...] = field(default=())

    @property
    def main(self) -> Look:
        """The look that most nails share."""
        for finger, look in zip(FINGERS, self.looks, strict=True):
            if finger not in self.accent_fingers:
                return look
        return self.looks[0]

    @property
    def accent(self) -> Look | None:
        """The look of the accent fingers."""
        for finger, look in zip(FINGERS, self.looks, strict=True):
            if finger in self.accent_fingers:
                return look
        return None


def pick(rng: np.random.Generator, weights: dict[str, float]) -> str:
    """Draw a key by weight."""
    keys = list(weights)
    p = np.array([weights[key] for key in keys])
    return keys[int(rng.choice(len(keys), p=p / p.sum()))]


def bare_design(rng: np.random.Generator) -> Design:
    """Nails without colour, at most a clear coat."""
    shape = pick(rng, {"round": 0.35, "squoval": 0.25, "oval": 0.2, "square": 0.1, "almond": 0.1})
    length = pick(rng, {"short": 0.68, "medium": 0.25, "long": 0.07})
    finish = "gloss" if rng.random() < 0.5 else "matte"
    look = Look("clear", finish, bare=True)
    return Design(shape, length, (look,) * 5)


def natural_design(rng: np.random.Generator) -> Design:
    """Salon nails that pass for natural: sheer, milky or rosy, plain, with a white tip or fading to white."""
    shape, length = pick(rng, SHAPES), pick(rng, LENGTHS)
    if shape == "stiletto" and length == "short":
        length = "medium"
    colour = str(rng.choice(NUDES))
    pattern = pick(rng, {"plain": 0.4, "french": 0.35, "ombre": 0.25})
    accents = () if pattern == "plain" else (str(rng.choice(["white", "white", "milky_white", "ivory"])),)
    if colour in accents:
        colour = "sheer_pink"
    finish = pick(rng, {"gloss": 0.6, "jelly": 0.2, "matte": 0.1, "pearl_sheen": 0.1})
    return Design(shape, length, (Look(colour, finish, pattern, accents),) * 5)


def random_look(rng: np.random.Generator, colour: str = "", patterns: dict[str, float] | None = None) -> Look:
    """Draw a look; colours of the pattern differ from the base."""
    pattern = pick(rng, patterns or PATTERNS)
    if not colour:
        nude_base = (
            pattern in ("french", "line_art", "swirl", "half_moon", "tortoiseshell") and rng.random() < 0.7
        )
        colour = str(rng.choice(NUDES if nude_base else PLAIN_COLOURS))
    others = [c for c in (*PLAIN_COLOURS, *METALS) if c != colour]
    count = {"plain": 0, "floral": 3, "fruit": 2, "splatter": 3, "flame": 2}.get(
        pattern, int(rng.integers(1, 3))
    )
    accents = tuple(str(c) for c in rng.choice(others, count, replace=False))
    if pattern == "french" and rng.random() < 0.45:
        accents = ("white",)
    if (
        pattern in ("dots", "hearts", "stars", "snow", "line_art")
        and rng.random() < 0.35
        and colour != "white"
    ):
        accents = ("white", *accents[1:])
    if (
        pattern in ("dots", "line_art", "leopard", "cow", "check")
        and rng.random() < 0.25
        and colour != "black"
    ):
        accents = ("black", *accents[1:])
    if pattern == "tortoiseshell":
        accents = ("chocolate", "brown")
        colour = "mustard"
    finish = pick(rng, FINISHES)
    if colour in METALS and finish in ("gloss", "jelly"):
        finish = str(rng.choice(["chrome", "glitter", "pearl_sheen"]))
    return Look(colour, finish, pattern, accents)


def random_part(rng: np.random.Generator, look: Look, parts: dict[str, float] | None = None) -> Look:
    """Add a part to a look."""
    part = pick(rng, parts or PARTS)
    colour = {
        "gold_foil": "gold",
        "silver_foil": "silver",
        "pearl": "ivory",
        "rhinestone": "silver",
        "lace": "white",
    }.get(part, "")
    if not colour or (part == "rhinestone" and rng.random() < 0.2):
        colour = str(rng.choice(["gold", "silver", "white", "black", "pink", "red", "blue"]))
    return replace(look, part=part, part_colour=colour)


def sample_design(rng: np.random.Generator, bare_share: float = 0.0, allow_held_out: bool = True) -> Design:
    """Draw a design; without `allow_held_out` no pair of colours that is kept for testing."""
    for _ in range(20):
        design = _draw_design(rng, bare_share)
        if allow_held_out or not holds_out(design):
            break
    return design


def holds_out(design: Design) -> bool:
    """Whether any nail, or the main and accent colours, show a held-out pair."""
    pairs = [(look.colour, name) for look in design.looks for name in look.accents]
    if design.accent is not None:
        pairs.append((design.main.colour, design.accent.colour))
    return any(pair_held_out(first, second) for first, second in pairs)


def _draw_design(rng: np.random.Generator, bare_share: float) -> Design:
    """All nails alike, accent fingers, alternating, or every nail another colour; a third follows a theme."""
    if rng.random() < bare_share:
        return bare_design(rng)
    shape, length = pick(rng, SHAPES), pick(rng, LENGTHS)
    if shape == "stiletto" and length == "short":
        length = "medium"
    theme = str(rng.choice(list(THEMES))) if rng.random() < 0.35 else ""
    if theme and rng.random() < 0.1:  # the same thing named and not named: colour binding
        theme = ""
    main = themed_look(rng, theme) if theme else random_look(rng)
    arrangement = pick(rng, {"same": 0.46, "accent": 0.38, "alternating": 0.08, "every": 0.08})
    if arrangement == "every" and theme:
        arrangement = "accent"
    looks = [main] * 5
    accent_fingers: tuple[str, ...] = ()
    if arrangement == "accent":
        accent = themed_look(rng, theme) if theme and rng.random() < 0.6 else accent_look(rng, main)
        chosen = [
            ("ring",),
            ("ring", "thumb"),
            ("middle",),
            ("index",),
            ("thumb",),
            ("middle", "ring"),
            ("pinky",),
        ]
        accent_fingers = chosen[int(rng.choice(len(chosen), p=[0.44, 0.14, 0.12, 0.06, 0.06, 0.12, 0.06]))]
        looks = [accent if finger in accent_fingers else main for finger in FINGERS]
    elif arrangement == "alternating":
        other = accent_look(rng, main)
        looks = [main, other, main, other, main]
        accent_fingers = ("index", "ring")
    elif arrangement == "every":
        colours = rng.choice(PLAIN_COLOURS, 5, replace=False)
        looks = [replace(main, colour=str(c), pattern="plain", accents=()) for c in colours]
    elif rng.random() < 0.22:
        looks = [random_part(rng, main)] * 5
    return Design(shape, length, tuple(looks), accent_fingers, theme, arrangement)


def themed_look(rng: np.random.Generator, name: str) -> Look:
    """A look in the colours, patterns, finishes and parts of a theme."""
    theme = THEMES[name]
    colours = [str(c) for c in rng.permutation(theme.colours)]
    pattern = str(rng.choice(["plain", *theme.patterns]))
    finish = str(rng.choice(theme.finishes))
    accents = () if pattern == "plain" else tuple(colours[1 : 2 + int(rng.integers(0, 2))])
    look = Look(colours[0], finish, pattern, accents)
    return random_part(rng, look, dict.fromkeys(theme.parts, 1.0)) if rng.random() < 0.3 else look


def accent_look(rng: np.random.Generator, main: Look) -> Look:
    """A look that goes with the main one: another finish, pattern, colour or a part."""
    kind = rng.integers(0, 4)
    if kind == 0 and main.finish != "glitter":
        colour = main.colour if rng.random() < 0.4 else str(rng.choice([*METALS, "white", "pink"]))
        return Look(colour, "glitter")
    if kind == 1:
        patterns = {k: v for k, v in PATTERNS.items() if k not in ("plain", main.pattern)}
        look = random_look(rng, main.colour if rng.random() < 0.6 else "white", patterns)
        return replace(look, finish=main.finish) if rng.random() < 0.6 else look
    if kind == 2:
        return random_part(rng, main)
    others = [c for c in PLAIN_COLOURS if c != main.colour]
    look = replace(main, colour=str(rng.choice(others)), pattern="plain", accents=())
    return random_part(rng, look) if rng.random() < 0.3 else look
