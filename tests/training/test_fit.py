"""The loop of all trainings: what it changes, what it keeps, and when it stops."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="training is tested in an environment of its own: make test-full")

from training.kit.fit import Averaged, Schedule, Validation, adamw, every, fit, warm_cosine

pytestmark = [pytest.mark.torch]


def line() -> torch.nn.Linear:
    torch.manual_seed(0)
    return torch.nn.Linear(1, 1)


def towards(target: float, network: torch.nn.Module) -> Any:
    return lambda batch: (network(batch) - target * batch).square().mean()


def batches(steps: int) -> list[torch.Tensor]:
    return [torch.ones(2, 1)] * steps


def test_a_schedule_rises_and_falls() -> None:
    factors = [Schedule(steps=100, warmup=10, floor=0.1).factor(step) for step in range(101)]
    assert factors[0] == pytest.approx(0.1) and max(factors) == 1.0
    assert factors[100] == pytest.approx(0.1) and factors[10:] == sorted(factors[10:], reverse=True)
    assert warm_cosine(100, 0.1)(100) == pytest.approx(0.01)


def test_a_training_reaches_its_target_and_logs_what_it_did() -> None:
    network, lines = line(), list[dict[str, Any]]()
    optimizer = adamw(network, torch.nn.Identity(), Schedule(rate=0.1))
    fit(
        network, optimizer, batches(60), towards(3.0, network), steps=60, log_every=20,
        log=lambda **facts: lines.append(facts),
    )  # fmt: skip
    assert [entry["step"] for entry in lines] == [1, 20, 40, 60]
    assert lines[-1]["loss"] < 0.1 * lines[0]["loss"]


def test_the_network_that_validates_best_is_kept_not_the_last() -> None:
    network, kept = line(), list[tuple[int, float]]()
    figures = iter([0.2, 0.9, 0.4])
    fit(
        network,
        torch.optim.SGD(network.parameters(), lr=0.01),
        batches(5),
        towards(1.0, network),
        steps=5,
        validation=Validation(
            due=every(2, 5),
            measure=lambda validated: {"f1": next(figures), "training": float(validated.training)},
            by="f1",
            keep=lambda _, step, metrics: kept.append((step, metrics["f1"])),
        ),
    )
    assert kept == [(2, 0.2), (4, 0.9)]
    assert network.training, "training goes on after a validation"


def test_averaged_weights_are_validated_in_place_of_the_networks_own() -> None:
    network = line()
    averaged, seen = Averaged(network), list[torch.nn.Module]()
    validation = Validation(every(1, 1), lambda own: seen.append(own) or {"x": 1.0}, "x", lambda *_: None)
    fit(
        network, torch.optim.SGD(network.parameters(), lr=0.1), batches(1), towards(9.0, network), steps=1,
        averaged=averaged, validation=validation,
    )  # fmt: skip
    assert seen == [averaged.network]
    assert not torch.equal(averaged.network.weight, network.weight)


@pytest.mark.parametrize(("clip", "bound"), [(0.5, 0.5), (None, float("inf"))])
def test_long_gradients_are_clipped_where_it_is_wanted(clip: float | None, bound: float) -> None:
    network, lengths = line(), list[float]()
    before = torch.cat([p.detach().flatten().clone() for p in network.parameters()])
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    fit(network, optimizer, batches(1), towards(100.0, network), steps=1, clip=clip)
    lengths.append(float((torch.cat([p.detach().flatten() for p in network.parameters()]) - before).norm()))
    assert lengths[0] <= bound + 1e-4 and (clip is not None or lengths[0] > 10)


def test_gradients_are_reduced_before_they_are_used() -> None:
    network = line()
    before = network.weight.item()

    def no_gradient(own: torch.nn.Module) -> None:
        for parameter in own.parameters():
            parameter.grad.zero_()

    fit(
        network, torch.optim.SGD(network.parameters(), lr=1.0), batches(1), towards(5.0, network), steps=1,
        reduce=no_gradient,
    )  # fmt: skip
    assert network.weight.item() == before


def test_a_loss_that_is_not_finite_stops_the_training() -> None:
    network = line()
    with pytest.raises(ValueError, match="not finite"):
        fit(
            network, torch.optim.SGD(network.parameters(), lr=1.0), batches(2),
            lambda batch: network(batch).sum() * float("nan"), steps=2,
        )  # fmt: skip
