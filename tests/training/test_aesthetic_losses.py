"""Which photo stands higher within a tag, and what the losses make of it."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the training environment")

from training.aesthetic.groups import SIZE, draw_groups, find_slots
from training.aesthetic.losses import order_pairs, ranking_loss, squared_emd
from training.aesthetic.material import NONE

pytestmark = [pytest.mark.torch, pytest.mark.timeout(60)]


def order(mos: list[float], errors: list[float], likeness: list[float]) -> list[list[float]]:
    found = order_pairs(*(torch.tensor([values]) for values in (mos, errors, likeness)))
    return found[0].tolist()


def test_the_higher_score_stands_higher() -> None:
    # The second is more like the tag: that is not asked where the scores differ.
    assert order([6.0, 5.0], [0.1, 0.1], [0.0, 0.9]) == [[0, 1], [-1, 0]]


def test_near_ties_go_by_likeness() -> None:
    """Errors of .1 each: nearer than 1.96 sqrt(.02) = .277 is a tie."""
    assert order([5.2, 5.0], [0.1, 0.1], [0.10, 0.30]) == [[0, -1], [1, 0]]
    assert order([5.3, 5.0], [0.1, 0.1], [0.10, 0.30]) == [[0, 1], [-1, 0]]


def test_ties_in_both_are_left_open() -> None:
    assert order([5.2, 5.0], [0.1, 0.1], [0.300, 0.304]) == [[0, 0], [0, 0]]
    assert order([5.2, 5.0], [0.1, 0.1], [0.300, 0.306]) == [[0, -1], [1, 0]]


def test_unknown_errors_and_likeness() -> None:
    nan = float("nan")
    assert order([5.25, 5.0], [nan, 0.1], [nan, nan]) == [[0, 1], [-1, 0]]  # .2 takes the errors' place
    assert order([5.15, 5.0], [nan, 0.1], [0.1, 0.3]) == [[0, -1], [1, 0]]
    assert order([5.15, 5.0], [0.1, 0.1], [nan, nan]) == [[0, 0], [0, 0]]  # no tag, no likeness


def test_ranking_by_hand() -> None:
    stands = torch.tensor([[[0.0, 1.0], [-1.0, 0.0]]])
    assert ranking_loss(torch.tensor([[2.0, 1.0]]), stands).item() == pytest.approx(np.log1p(np.exp(-1)))
    assert ranking_loss(torch.tensor([[1.0, 2.0]]), stands).item() == pytest.approx(np.log1p(np.exp(1)))
    assert ranking_loss(torch.tensor([[1.0, 2.0]]), torch.zeros(1, 2, 2)).item() == 0


def test_ranking_puts_scores_into_order() -> None:
    scores = torch.zeros(1, 3, requires_grad=True)
    stands = order_pairs(*(torch.tensor([v]) for v in ([4.0, 6.0, 5.0], [0.1] * 3, [0.0] * 3)))
    for _ in range(50):
        (slope,) = torch.autograd.grad(ranking_loss(scores, stands), scores)
        scores = (scores - slope).detach().requires_grad_()
    assert scores[0].argsort().tolist() == [0, 2, 1]


def test_distance_of_votes_by_hand() -> None:
    one, three = torch.zeros(1, 10), torch.zeros(1, 10)
    one[0, 0] = three[0, 2] = 1
    # The cumulative sums differ by 1 at two of ten marks.
    assert squared_emd(one, three).item() == pytest.approx((2 / 10) ** 0.5, abs=1e-4)
    assert squared_emd(one, one).item() < 1e-3


def test_groups_share_their_tag_and_hold_every_photo() -> None:
    rng = np.random.default_rng(0)
    tags = np.full((60, 2), NONE)
    tags[:50, 0] = rng.integers(0, 3, 50)
    tags[:20, 1] = 3
    rows = np.arange(4, 60)
    blocks, names = draw_groups(tags, rows, rng)
    assert blocks.shape == (len(names), SIZE)
    places = find_slots(tags, blocks, names)
    for block, name, place in zip(blocks, names, places, strict=True):
        assert set(block) <= set(rows)
        assert (tags[block, place] == name).all() or name == NONE
        if name == NONE:
            assert (tags[block] == NONE).all()
    asked = {(int(row), int(name)) for block, name in zip(blocks, names, strict=True) for row in block}
    wanted = {(row, tag) for row in rows.tolist() for tag in tags[row].tolist() if tag != NONE}
    bare = {(row, NONE) for row in rows.tolist() if (tags[row] == NONE).all()}
    assert asked == wanted | bare


def test_a_full_group_repeats_nobody() -> None:
    tags = np.zeros((11, 2), np.int64)
    tags[:, 1] = NONE
    blocks, _ = draw_groups(tags, np.arange(11), np.random.default_rng(1))
    assert all(len(set(block.tolist())) == SIZE for block in blocks)


def test_photos_that_share_no_tag_make_no_groups() -> None:
    with pytest.raises(ValueError, match="no two photos"):
        draw_groups(np.array([[0, NONE], [1, NONE]]), np.arange(2), np.random.default_rng(0))
