from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs the training environment")

from training.kit.losses import confidence_relaxed, double_relaxed, info_nce

pytestmark = pytest.mark.torch


def cosines(size: int = 6) -> torch.Tensor:
    return torch.rand(size, size, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_drc_is_zero_when_pairs_match_relaxed_positives_reach_alpha_and_the_rest_is_opposed() -> None:
    unlabelled = torch.zeros(3, 3, dtype=torch.bool)
    unlabelled[0, 2] = True
    s = torch.tensor([[1.0, -0.1, 0.7], [0.0, 1.0, -1.0], [-0.2, 0.0, 1.0]])
    assert double_relaxed(s, unlabelled).item() == 0.0


def test_drc_adds_up_its_three_terms() -> None:
    unlabelled = torch.tensor([[False, True], [False, False]])
    s = torch.tensor([[0.5, 0.2], [0.4, 1.0]])
    expected = (1 - 0.5) ** 2 + 0.3 * (0.7 - 0.2) ** 2 + 0.9 * 0.4**2
    assert double_relaxed(s, unlabelled, gamma=0.3, lam=0.9).item() == pytest.approx(expected)


def test_drc_reads_unlabelled_positives_by_row() -> None:
    unlabelled = torch.tensor([[False, True], [False, False]])
    s = torch.tensor([[1.0, 0.0], [0.6, 1.0]])
    assert double_relaxed(s, unlabelled) != double_relaxed(s, unlabelled.T)


def test_crc_with_one_constant_confidence_is_drc() -> None:
    s = cosines()
    unlabelled = torch.rand(6, 6, generator=torch.Generator().manual_seed(2)) > 0.7
    confidence = torch.where(unlabelled, 0.7, 0.0)
    crc = confidence_relaxed(s, confidence, threshold=0.5)
    assert torch.equal(crc, double_relaxed(s, unlabelled))


def test_crc_pulls_a_confident_pair_further_than_a_doubtful_one() -> None:
    s = torch.eye(2)
    sure = confidence_relaxed(s, torch.full((2, 2), 1.0), threshold=0.5)
    doubtful = confidence_relaxed(s, torch.full((2, 2), 0.6), threshold=0.5)
    assert sure > doubtful > 0


def test_info_nce_agrees_with_its_definition() -> None:
    logits = cosines(4) * 5
    rows = torch.stack([logits[i].logsumexp(0) - logits[i, i] for i in range(4)]).mean()
    columns = torch.stack([logits[:, i].logsumexp(0) - logits[i, i] for i in range(4)]).mean()
    assert info_nce(logits).item() == pytest.approx(((rows + columns) / 2).item(), rel=1e-5)


def test_an_ignored_pair_no_longer_moves_info_nce_but_a_match_cannot_be_ignored() -> None:
    logits = cosines(4) * 5
    ignored = torch.eye(4, dtype=torch.bool)
    ignored[0, 1] = True
    changed = logits.clone()
    changed[0, 1] = 40.0
    assert info_nce(logits, ignored) == info_nce(changed, ignored)
    assert torch.isfinite(info_nce(logits, ignored))
    assert info_nce(logits) != info_nce(changed)
