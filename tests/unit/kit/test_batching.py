"""The dynamic batcher, with a model that waits until the test lets it go."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from services.kit.deadline import Deadline
from services.kit.errors import DeadlineExceeded, Internal, InvalidArgument, ResourceExhausted, Unavailable
from services.kit.inference.batch_queue import Tensors
from services.kit.inference.batching import BatchingPolicy, DynamicBatcher
from services.kit.inference.metrics import InferenceMetrics
from services.kit.telemetry.timings import collect

POISON = -1.0


class Model:
    """Doubles its input; keeps what it was given; waits while `gate` is closed; fails on POISON."""

    def __init__(self) -> None:
        self.batches: list[NDArray[Any]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.error: Exception = ValueError("poisoned")

    def __call__(self, inputs: Tensors) -> Tensors:
        self.gate.wait(30)
        self.batches.append(inputs["x"])
        if (inputs["x"] == POISON).any():
            raise self.error
        return {"y": inputs["x"] * 2}

    @property
    def sizes(self) -> list[int]:
        return [len(batch) for batch in self.batches]

    def values(self) -> list[float]:
        return [float(value) for batch in self.batches for value in batch[:, 0]]


def rows(*values: float, width: int = 1) -> Tensors:
    return {"x": np.repeat(np.array(values, np.float32)[:, None], width, axis=1)}


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


Make = Callable[..., DynamicBatcher]


@pytest.fixture
def make(model: Model, registry: CollectorRegistry) -> Iterator[Make]:
    executors = []

    def build(max_batch_size: int = 4, **policy: Any) -> DynamicBatcher:
        executor = ThreadPoolExecutor(4)
        executors.append(executor)
        return DynamicBatcher(
            "m", model, executor, BatchingPolicy(max_batch_size, **policy), InferenceMetrics(registry)
        )

    yield build
    model.gate.set()
    for executor in executors:
        executor.shutdown()


async def ask(batcher: DynamicBatcher, inputs: Tensors, deadline: Deadline | None = None) -> list[float]:
    outputs = await batcher.submit(inputs, len(inputs["x"]), deadline=deadline or Deadline.after(30))
    return [float(value) for value in outputs["y"][:, 0]]


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - turns of the event loop, not time
        await asyncio.sleep(0)


async def occupy(batcher: DynamicBatcher, model: Model) -> asyncio.Task[list[float]]:
    """Close the gate and have one item wait behind it, so that what follows queues up."""
    model.gate.clear()
    task = asyncio.create_task(ask(batcher, rows(0.0)))
    await until(lambda: batcher.running_batches > 0)
    return task


async def test_items_of_the_same_moment_share_a_batch(make: Make, model: Model) -> None:
    batcher = make()
    answers = await asyncio.gather(*(ask(batcher, rows(float(value))) for value in range(1, 5)))
    assert answers == [[2.0], [4.0], [6.0], [8.0]]
    assert model.sizes == [4]


async def test_what_queued_while_the_model_was_busy_shares_a_batch(make: Make, model: Model) -> None:
    batcher = make()
    first = await occupy(batcher, model)
    others = [asyncio.create_task(ask(batcher, rows(float(value)))) for value in range(1, 4)]
    await until(lambda: batcher.queued_rows >= 3)
    model.gate.set()
    await asyncio.gather(first, *others)
    assert model.sizes == [1, 3]


async def test_no_batch_is_larger_than_the_model_allows(make: Make, model: Model) -> None:
    batcher = make()
    answers = await asyncio.gather(
        *(ask(batcher, rows(value, value + 1.0, value + 2.0)) for value in range(9))
    )
    assert answers == [[2.0 * v, 2.0 * v + 2, 2.0 * v + 4] for v in range(9)]
    assert max(model.sizes) <= 4


async def test_an_item_larger_than_a_batch_is_split_and_put_together(make: Make, model: Model) -> None:
    batcher = make()
    assert await ask(batcher, rows(*range(11))) == [2.0 * value for value in range(11)]
    assert model.sizes == [4, 4, 3]


async def test_a_large_item_delays_a_small_one_by_one_batch_at_most(make: Make, model: Model) -> None:
    batcher = make()
    first = await occupy(batcher, model)
    large = asyncio.create_task(ask(batcher, rows(*range(100, 116))))
    await asyncio.sleep(0)
    small = asyncio.create_task(ask(batcher, rows(7.0)))
    await until(lambda: batcher.queued_rows >= 17)
    model.gate.set()
    await asyncio.gather(first, large, small)
    assert model.values().index(7.0) <= 1 + 4


async def test_only_items_of_equal_shapes_share_a_batch(make: Make, model: Model) -> None:
    batcher = make(max_batch_size=8)
    widths = [1, 2, 1, 2, 3]
    await asyncio.gather(
        *(ask(batcher, rows(float(index), width=width)) for index, width in enumerate(widths))
    )
    assert sorted(batch.shape for batch in model.batches) == [(1, 3), (2, 1), (2, 2)]


async def test_what_waits_is_shared_out_between_free_instances(make: Make, model: Model) -> None:
    batcher = make(max_batch_size=8, instances=2)
    await ask(batcher, rows(*range(8)))
    assert sorted(model.sizes) == [4, 4]


async def test_an_item_that_expired_is_dropped_before_it_is_run(
    make: Make, model: Model, registry: CollectorRegistry
) -> None:
    batcher = make()
    first = await occupy(batcher, model)
    with pytest.raises(DeadlineExceeded):
        await ask(batcher, rows(5.0), Deadline.after(0.01))
    assert batcher.queued_rows == 0
    model.gate.set()
    await first
    assert 5.0 not in model.values()
    assert registry.get_sample_value("lunula_dropped_items_total", {"model": "m", "reason": "expired"}) == 1


async def test_an_item_found_expired_when_its_batch_is_formed_is_not_run(make: Make, model: Model) -> None:
    batcher = make()
    now = 0.0
    deadline = Deadline(1.0, clock=lambda: now)
    first = await occupy(batcher, model)
    late = asyncio.create_task(ask(batcher, rows(5.0), deadline))
    punctual = asyncio.create_task(ask(batcher, rows(6.0)))
    await until(lambda: batcher.queued_rows >= 2)
    now = 2.0  # the deadline has passed, and its timer has not fired yet
    model.gate.set()
    assert await punctual == [12.0]
    await first
    assert 5.0 not in model.values()
    with pytest.raises(DeadlineExceeded):
        await late


async def test_a_cancelled_item_frees_its_place_and_is_not_run(
    make: Make, model: Model, registry: CollectorRegistry
) -> None:
    batcher = make(max_queue_rows=2)
    first = await occupy(batcher, model)
    doomed = asyncio.create_task(ask(batcher, rows(5.0, 6.0)))
    await until(lambda: batcher.queued_rows >= 2)
    doomed.cancel()
    with pytest.raises(asyncio.CancelledError):
        await doomed
    assert batcher.queued_rows == 0
    replacement = asyncio.create_task(ask(batcher, rows(7.0, 8.0)))
    await asyncio.sleep(0)
    model.gate.set()
    await asyncio.gather(first, replacement)
    assert not {5.0, 6.0} & set(model.values())
    assert registry.get_sample_value("lunula_dropped_items_total", {"model": "m", "reason": "cancelled"}) == 1


async def test_the_rest_of_a_cancelled_large_item_is_not_run(make: Make, model: Model) -> None:
    batcher = make()
    model.gate.clear()
    large = asyncio.create_task(ask(batcher, rows(*range(12))))
    await until(lambda: batcher.running_batches > 0)
    assert batcher.queued_rows == 8
    large.cancel()
    with pytest.raises(asyncio.CancelledError):
        await large
    model.gate.set()
    await batcher.close()
    assert model.sizes == [4]


async def test_a_full_queue_refuses_with_a_retry_delay(make: Make, model: Model) -> None:
    batcher = make(max_queue_rows=2)
    first = await occupy(batcher, model)
    second = asyncio.create_task(ask(batcher, rows(1.0, 2.0)))
    await until(lambda: batcher.queued_rows >= 2)
    with pytest.raises(ResourceExhausted) as caught:
        await ask(batcher, rows(3.0))
    assert caught.value.reason == "QUEUE_FULL"
    assert caught.value.retry_after_s is not None
    assert caught.value.retry_after_s > 0
    model.gate.set()
    await asyncio.gather(first, second)
    assert await ask(batcher, rows(3.0)) == [6.0]


async def test_an_empty_queue_takes_an_item_of_any_size(make: Make) -> None:
    batcher = make(max_queue_rows=2)
    assert len(await ask(batcher, rows(*range(20)))) == 20


async def test_one_failing_item_does_not_poison_its_batch(
    make: Make, model: Model, registry: CollectorRegistry
) -> None:
    batcher = make(max_batch_size=8)
    answers = await asyncio.gather(
        *(ask(batcher, rows(value)) for value in (1.0, 2.0, POISON, 3.0)), return_exceptions=True
    )
    assert isinstance(answers[2], Internal)
    assert answers[2].reason == "INFERENCE_FAILED"
    assert "poisoned" not in answers[2].message
    assert [answers[0], answers[1], answers[3]] == [[2.0], [4.0], [6.0]]
    assert model.sizes == [4, 1, 1, 1, 1]
    assert registry.get_sample_value("lunula_failed_batches_total", {"model": "m"}) == 1


async def test_a_failing_part_fails_its_whole_item_and_stops_the_rest(make: Make, model: Model) -> None:
    batcher = make()
    with pytest.raises(Internal):
        await ask(batcher, rows(1.0, POISON, *range(2, 12)))
    assert model.sizes == [4]
    assert batcher.queued_rows == 0


async def test_an_error_of_the_tree_is_passed_on_as_it_is(make: Make, model: Model) -> None:
    model.error = InvalidArgument("No.", reason="TOKEN_UNKNOWN")
    with pytest.raises(InvalidArgument) as caught:
        await ask(make(), rows(POISON))
    assert caught.value.reason == "TOKEN_UNKNOWN"


async def test_outputs_without_a_row_per_row_are_a_failure(
    registry: CollectorRegistry,
) -> None:
    with ThreadPoolExecutor(1) as executor:
        batcher = DynamicBatcher(
            "m",
            lambda inputs: {"y": inputs["x"][:1]},
            executor,
            BatchingPolicy(4),
            InferenceMetrics(registry),
        )
        with pytest.raises(Internal, match="for 2 rows"):
            await ask(batcher, rows(1.0, 2.0))


async def test_an_item_waits_for_company_no_longer_than_the_queue_delay(make: Make, model: Model) -> None:
    batcher = make(max_queue_delay_s=0.01)
    assert await ask(batcher, rows(1.0)) == [2.0]
    assert model.sizes == [1]


async def test_a_preferred_number_of_rows_ends_the_wait_for_company(make: Make, model: Model) -> None:
    batcher = make(max_batch_size=8, max_queue_delay_s=3600.0, preferred_rows=2)
    one = asyncio.create_task(ask(batcher, rows(1.0)))
    await asyncio.sleep(0)
    assert not model.batches
    assert await asyncio.gather(one, ask(batcher, rows(2.0))) == [[2.0], [4.0]]
    assert model.sizes == [2]


async def test_queue_and_inference_times_go_to_the_caller(make: Make) -> None:
    with collect() as timings:
        await ask(make(), rows(*range(9)))
    assert set(timings.milliseconds()) == {"queue", "inference"}


async def test_closing_ends_what_waits_and_finishes_what_runs(make: Make, model: Model) -> None:
    batcher = make()
    first = await occupy(batcher, model)
    waiting = asyncio.create_task(ask(batcher, rows(1.0)))
    await until(lambda: batcher.queued_rows > 0)
    closing = asyncio.create_task(batcher.close())
    with pytest.raises(Unavailable):
        await waiting
    model.gate.set()
    await closing
    assert await first == [0.0]
    with pytest.raises(Unavailable):
        await ask(batcher, rows(1.0))


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.tuples(st.integers(1, 13), st.integers(1, 3)), min_size=1, max_size=20),
    max_batch=st.integers(1, 6),
    instances=st.integers(1, 3),
)
def test_any_mix_of_items_gets_its_own_rows_in_order(
    sizes: list[tuple[int, int]], max_batch: int, instances: int
) -> None:
    model = Model()

    async def scenario() -> None:
        with ThreadPoolExecutor(instances) as executor:
            policy = BatchingPolicy(max_batch, instances=instances, max_queue_rows=10_000)
            batcher = DynamicBatcher("m", model, executor, policy, InferenceMetrics(None))
            inputs = [
                rows(*(100.0 * index + row for row in range(count)), width=width)
                for index, (count, width) in enumerate(sizes)
            ]
            answers = await asyncio.gather(*(ask(batcher, item) for item in inputs))
            for item, answer in zip(inputs, answers, strict=True):
                assert answer == [2 * float(value) for value in item["x"][:, 0]]
            assert batcher.queued_rows == 0
            await batcher.close()

    asyncio.run(scenario())
    assert sum(model.sizes) == sum(count for count, _ in sizes)
    assert max(model.sizes) <= max_batch
