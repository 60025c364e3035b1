"""One palette against many designs: the very figures of one against one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nails.colour.palette import PaletteColour, equivalent_difference, match_colours, palette_similarity
from nails.colour.palette_match import colour_differences, palette_differences

# A few colours only, so that two of a request often want the same one of a design.
labs = st.tuples(st.sampled_from([10.0, 50.0, 90.0]), st.sampled_from([-20.0, 0.0, 40.0]), st.just(5.0))
palettes = st.lists(st.builds(PaletteColour, labs, st.floats(0.05, 1.0)), max_size=5)


@given(palettes, st.lists(palettes, max_size=6))
def test_every_design_is_as_far_as_when_it_is_compared_alone(
    request: list[PaletteColour], designs: list[list[PaletteColour]]
) -> None:
    shown = [[(colour.lab, colour.weight) for colour in design] for design in designs]
    alone = [palette_similarity(request, design).difference for design in designs]
    assert palette_differences(request, shown) == pytest.approx(alone, rel=1e-6, abs=1e-3)


def test_many_real_palettes_are_as_far_as_when_they_are_compared_alone() -> None:
    rng = np.random.default_rng(4)

    def palette(count: int) -> list[PaletteColour]:
        shares = rng.dirichlet(np.ones(count))
        return [
            PaletteColour((rng.uniform(5, 95), rng.uniform(-40, 60), rng.uniform(-40, 60)), float(share))
            for share in shares
        ]

    for colours in (1, 2, 3, 5):
        request = palette(colours)
        designs = [palette(int(rng.integers(1, 6))) for _ in range(60)]
        shown = [[(colour.lab, colour.weight) for colour in design] for design in designs]
        alone = [palette_similarity(request, design).difference for design in designs]
        assert palette_differences(request, shown) == pytest.approx(alone, rel=1e-9)
        each = [[difference for _, difference in match_colours(request, design)] for design in designs]
        assert colour_differences(request, shown).ravel() == pytest.approx(np.ravel(each), rel=1e-9)


def test_a_design_without_colours_is_as_far_as_can_be() -> None:
    red = PaletteColour((45.0, 60.0, 30.0), 1.0)
    far, near = palette_differences([red], [[], [(red.lab, 1.0)]])
    assert far == pytest.approx(equivalent_difference(0.0))
    assert np.isinf(colour_differences([red], [[]])).all()
    assert colour_differences([], [[(red.lab, 1.0)]]).shape == (1, 0)
    assert near == pytest.approx(0.0, abs=1e-6)
