"""The networks of paper Q: who hears the question, and that nothing else changes an answer."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs the training environment")

from training.aesthetic.fitting import VARIANTS, Config, build
from training.aesthetic.networks import Literal, TagAesthetic

pytestmark = [pytest.mark.torch, pytest.mark.timeout(300)]

N, K = 5, 3


def inputs(seed: int = 0) -> tuple[torch.Tensor, ...]:
    """Tokens, align, tag, mask of five photos with none to three tags."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randn(N, 16, 320, generator=generator).half()
    align, tag = (
        torch.nn.functional.normalize(torch.randn(*shape, generator=generator), dim=-1)
        for shape in ((N, 512), (N, K, 512))
    )
    mask = torch.tensor([[1.0, 1, 1], [1, 1, 0], [1, 0, 0], [0, 0, 0], [0, 1, 0]])
    return tokens, align, tag * mask.unsqueeze(2), mask


def untrained(variant: str = "ours", attentive: bool = False) -> TagAesthetic | Literal:
    network = build(variant, Config(attentive=attentive)).eval()
    assert isinstance(network, TagAesthetic | Literal)
    if attentive:
        with torch.no_grad():
            network.factor.fill_(20.0)
    return network


def answers(network: TagAesthetic | Literal, *given: torch.Tensor) -> torch.Tensor:
    score, _, weight = network.look(*given)
    return (score * weight).sum(dim=1)


@torch.no_grad()
def test_one_key_ignores_whatever_asks_it() -> None:
    """The softmax over a single key is 1: other tags, no tags, noise, the answer stays to the last bit."""
    tokens, align, tag, mask = inputs()
    network = untrained("literal")
    before = network.look(tokens, align, tag, mask)[:2]
    for other in (tag.flip(0), torch.randn_like(tag) * 100, torch.zeros_like(tag)):
        after = network.look(tokens, align, other, mask)[:2]
        assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_no_gradient_reaches_the_question_of_one_key() -> None:
    tokens, align, tag, mask = inputs()
    network = untrained("literal")
    answers(network, tokens, align, tag, mask).sum().backward()
    assert network.text.weight.grad is not None
    assert network.text.weight.grad.abs().max() < 1e-7
    assert network.image.weight.grad.abs().max() > 1e-4


@torch.no_grad()
def test_many_keys_hear_the_question() -> None:
    tokens, align, tag, mask = inputs()
    network = untrained()
    before = answers(network, tokens, align, tag, mask)
    after = answers(network, tokens, align, tag.flip(0) * mask.unsqueeze(2), mask)
    assert ((before - after).abs() > 1e-4)[:2].all()


@torch.no_grad()
def test_the_row_without_text_hears_nothing() -> None:
    tokens, align, tag, mask = inputs()
    network = untrained("notext")
    before = answers(network, tokens, align, tag, mask)
    assert torch.equal(before, answers(network, tokens, align, tag.flip(0), mask.flip(0)))


@torch.no_grad()
@pytest.mark.parametrize("attentive", [False, True])
def test_absent_places_change_nothing(attentive: bool) -> None:
    tokens, align, tag, mask = inputs()
    network = untrained(attentive=attentive)
    score, distribution = network(tokens, align, tag, mask)
    noise = tag + torch.randn_like(tag) * (1 - mask).unsqueeze(2)
    for given in (
        (tokens, align, noise, mask),
        (tokens, align, torch.cat([tag, torch.zeros(N, 2, 512)], 1), torch.cat([mask, torch.zeros(N, 2)], 1)),
        (tokens, align, tag.flip(1), mask.flip(1)),  # nor does the order of the tags
    ):
        other, others = network(*given)
        torch.testing.assert_close(other, score, atol=1e-5, rtol=0)
        torch.testing.assert_close(others, distribution, atol=1e-6, rtol=0)


@torch.no_grad()
def test_a_photo_is_judged_alike_alone_and_among_others() -> None:
    given = inputs()
    network = untrained()
    score, distribution = network(*given)
    for photo in range(N):
        alone, own = network(*(x[photo : photo + 1] for x in given))
        torch.testing.assert_close(alone[0], score[photo], atol=1e-5, rtol=0)
        torch.testing.assert_close(own[0], distribution[photo], atol=1e-6, rtol=0)


@torch.no_grad()
def test_several_tags_are_the_mean_of_each() -> None:
    tokens, align, tag, mask = inputs()
    network = untrained()
    both = answers(network, tokens[:1], align[:1], tag[:1], mask[:1])
    single = [answers(network, tokens[:1], align[:1], tag[:1, [k]], mask[:1, [k]]) for k in range(K)]
    torch.testing.assert_close(both, torch.stack(single).mean(dim=0), atol=1e-5, rtol=0)


@torch.no_grad()
def test_attention_over_tags_prefers_those_that_suit_the_photo() -> None:
    tokens, align, tag, mask = inputs()
    tag[0, 1] = align[0]
    weight = untrained(attentive=True).look(tokens, align, tag, mask)[2]
    assert weight[0].argmax() == 1 and weight[0, 1] > 0.99
    torch.testing.assert_close(weight.sum(dim=1), torch.ones(N))


@torch.no_grad()
@pytest.mark.parametrize("variant", [name for name in VARIANTS if name not in ("literal", "regression")])
def test_scores_begin_at_the_mean_and_shares_sum_to_one(variant: str) -> None:
    network = untrained(variant)
    assert isinstance(network, TagAesthetic)
    score, distribution = network(*inputs())
    assert score.shape == (N, 1) and distribution.shape == (N, 10)
    assert (score - 5.4).abs().max() < 1.5
    torch.testing.assert_close(distribution.sum(dim=1), torch.ones(N))
