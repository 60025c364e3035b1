"""How well a design suits a theme: by its colours first, then pattern, finish and part."""

from __future__ import annotations

from training.synth.design.designs import NUDES, Design
from training.synth.design.themes import THEMES

_SUITS = 1.2  # from here on a design suits a theme that nobody asked for


def affinity(design: Design, theme: str) -> float:
    """0 to about 1.75: the share of the design's colours that are the theme's, and its pattern, part and
    finish."""
    wanted, main = THEMES[theme], design.main
    colours = {look.colour for look in design.looks} | {
        name for look in design.looks for name in look.accents
    }
    value = len(colours & set(wanted.colours)) / len(colours)
    value += 0.4 * (main.pattern in wanted.patterns and main.pattern != "plain")
    value += 0.2 * (main.part in wanted.parts)
    value += 0.15 * (main.finish in wanted.finishes and main.finish != "gloss")
    return value


def infer_mood(design: Design) -> str:
    """The mood that a design without a theme gives, or ""."""
    main = design.main
    if main.bare or (main.colour in NUDES and main.pattern == "plain" and not main.part):
        return "natural"
    best = max(THEMES, key=lambda theme: affinity(design, theme))
    return best if affinity(design, best) >= _SUITS else ""
