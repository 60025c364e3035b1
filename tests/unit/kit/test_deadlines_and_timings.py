"""Deadlines and stage timings, on clocks that the tests move."""

from __future__ import annotations

import asyncio
import math

import pytest

from services.kit.deadline import Deadline
from services.kit.errors import DeadlineExceeded
from services.kit.models import ModelVersion
from services.kit.scope import CallScope, bind, current_deadline, current_scope
from services.kit.telemetry.timings import StageTimings, collect, current, record, stage
from services.kit.wire.response_info import read_models, response_info


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Context:
    def __init__(self, remaining: float | None) -> None:
        self._remaining = remaining

    def time_remaining(self) -> float | None:
        return self._remaining


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_deadline_counts_down_to_zero_and_not_below(clock: Clock) -> None:
    deadline = Deadline.after(2.0, clock=clock)
    clock.now += 1.5
    assert (deadline.remaining(), deadline.expired) == (0.5, False)
    deadline.check()
    clock.now += 5
    assert (deadline.remaining(), deadline.expired) == (0.0, True)
    with pytest.raises(DeadlineExceeded, match="before decoding was done"):
        deadline.check("decoding")


def test_no_deadline_never_passes() -> None:
    assert Deadline.never().remaining() == math.inf
    assert not Deadline.after(math.inf).expired


def test_the_callers_deadline_wins_over_the_default(clock: Clock) -> None:
    assert Deadline.from_context(Context(3.0), 30.0, clock=clock).remaining() == 3.0
    assert Deadline.from_context(Context(None), 30.0, clock=clock).remaining() == 30.0
    assert Deadline.from_context(Context(0.0), 30.0, clock=clock).expired


def test_within_takes_the_earlier_moment(clock: Clock) -> None:
    deadline = Deadline.after(2.0, clock=clock)
    assert deadline.within(1.0).remaining() == 1.0
    assert deadline.within(9.0).remaining() == 2.0
    assert Deadline(None, clock).within(9.0).remaining() == 9.0


def test_a_stage_counts_the_time_of_its_block_also_when_it_raises(clock: Clock) -> None:
    timings = StageTimings(clock=clock)
    with pytest.raises(ValueError, match="no"), timings.stage("decode"):
        clock.now += 0.25
        raise ValueError("no")
    assert timings.milliseconds() == {"decode": 250.0}


def test_intervals_that_overlap_are_counted_once(clock: Clock) -> None:
    timings = StageTimings(clock=clock)
    timings.add("inference", 1.0, 3.0)
    timings.add("inference", 2.0, 4.0)
    timings.add("inference", 6.0, 7.0)
    timings.add("queue", 0.0, 1.0)
    assert timings.milliseconds() == {"inference": 4000.0, "queue": 1000.0}
    with bind(CallScope("/lunula.Test", "r1", Deadline.never(), timings=timings)):
        assert [(timing.stage, timing.milliseconds) for timing in response_info().timings] == [
            ("inference", 4000.0),
            ("queue", 1000.0),
        ]


def test_response_info_names_the_models_and_gives_them_back() -> None:
    models = (ModelVersion("nail_seg", "1", "ab"), ModelVersion("hand_detect", "2", "cd"))
    assert read_models(response_info(models)) == models


def test_a_recorded_length_is_an_interval_that_ends_now(clock: Clock) -> None:
    timings = StageTimings(clock=clock)
    timings.record("queue", 500.0)
    clock.now += 0.25
    timings.record("queue", 500.0)
    assert timings.milliseconds() == {"queue": 750.0}


def test_many_intervals_take_bounded_room_and_keep_their_sum(clock: Clock) -> None:
    timings = StageTimings(clock=clock)
    for index in range(5000):
        timings.add("decode", index, index + 0.5)
    assert timings.milliseconds()["decode"] == pytest.approx(5000 * 500.0)
    assert len(timings._intervals["decode"]) <= 257


def test_outside_of_a_call_timings_go_nowhere() -> None:
    record("queue", 5.0)
    assert current().milliseconds() == {}
    assert current_scope() is None
    assert current_deadline().remaining() == math.inf
    assert response_info().request_id == ""


async def test_tasks_started_in_a_call_belong_to_it(clock: Clock) -> None:
    scope = CallScope("/m", "r1", Deadline.after(5.0, clock=clock), default_deadline_ms=5000)

    async def work() -> None:
        with stage("decode"):
            assert current_deadline() is scope.deadline

    with bind(scope):
        await asyncio.gather(work(), work())
        info = response_info()
    assert (info.request_id, info.default_deadline_ms) == ("r1", 5000)
    assert [timing.stage for timing in info.timings] == ["decode"]
    assert current_scope() is None


def test_an_item_of_a_stream_has_timings_of_its_own() -> None:
    with bind(CallScope("/m", "r1", Deadline.never())):
        record("decode", 1.0)
        with collect():
            record("search", 1.0)
            assert [timing.stage for timing in response_info().timings] == ["search"]
        assert [timing.stage for timing in response_info().timings] == ["decode"]
