"""Describers and the command: each item once, at most so many at a time, and none asked about twice."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.unit.describe.conftest import Serve
from tests.unit.describe.fake_endpoint import FakeEndpoint, Reply, completion
from training.describe.__main__ import main
from training.describe.describers import CompactDescriber, ModelDescriber, read_perceived
from training.describe.models.answers import Restated
from training.describe.models.question import ItemError, Question, RunError
from training.describe.photos import Photo
from training.describe.running import Item, Tally, ask_all
from training.describe.store import Key, Store, read_answers, read_descriptions, read_restatements

RED = np.full((32, 32, 3), (200, 20, 20), np.uint8)
BLUE = np.full((32, 32, 3), (20, 20, 200), np.uint8)


def describing(body: dict[str, Any]) -> Reply:
    """A description that tells which photo it is of."""
    return completion(json.dumps({"description": f"Nails of {len(json.dumps(body))}."}))


def write_photos(folder: Path, count: int) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{index:02d}.png" for index in range(count)]
    for index, path in enumerate(paths):
        cv2.imwrite(str(path), np.full((20, 20, 3), index * 5, np.uint8))
    return paths


class Scripted:
    """An asker whose answers are given."""

    name, batch, parallel = "scripted", 4, 1

    def __init__(self, *answers: str | ItemError) -> None:
        self.answers = list(answers)
        self.asked: list[Question] = []

    def ask(self, questions: Sequence[Question], *, max_tokens: int) -> list[str | ItemError]:
        assert max_tokens > 0
        self.asked += questions
        return [self.answers.pop(0) for _ in questions]

    def stop(self) -> None:
        raise AssertionError("nothing to stop")


def test_a_model_describes_photos_and_restates_requests() -> None:
    denied = ItemError("denied", "HTTP 400")
    asker = Scripted('{"description": "Red."}', denied, "none", '{"mdd": ["red nails"], "nnp": ["red"]}')
    describer = ModelDescriber(asker)
    red, blue = Photo(RED), Photo(BLUE)
    first, second, third = describer.describe([red, blue, red])
    assert (first, second) == ("Red.", denied)
    assert isinstance(third, ItemError)
    assert [question.photos for question in asker.asked] == [(red,), (blue,), (red,)]
    assert describer.restate(["赤いネイル"]) == [Restated(("red nails",), ("red",))]
    assert "<request>赤いネイル</request>" in asker.asked[-1].text
    assert asker.asked[-1].photos == ()


def test_without_a_model_photos_are_described_by_what_was_perceived() -> None:
    red = Photo(RED)
    describer = CompactDescriber({red.sha256: ({"shape": [("oval", 0.9)]}, [((44.2, 66.7, 42.4), 0.9)])})
    known, unknown = describer.describe([red, Photo(BLUE)])
    assert known == "Oval nails in red."
    assert isinstance(unknown, ItemError)
    assert describer.restate(["red nails, no glitter"]) == [Restated(("nails in red",), ("red nails",))]


def test_another_perception_of_a_photo_is_asked_anew() -> None:
    sha256 = Photo(RED).sha256
    seen = [{sha256: ({"shape": [("oval", p)]}, [])} for p in (0.9, 0.9, 0.8)]
    versions = [CompactDescriber(one).describe_version for one in seen]
    assert versions[0] == versions[1] != versions[2]
    assert CompactDescriber(seen[0], least=0.4).describe_version != versions[0]


@dataclass
class Counting:
    """Work that notes how many calls run at once; with `together`, each call waits for that many."""

    batch: int = 1
    parallel: int = 1
    together: int = 1
    running: int = 0
    most: int = 0
    seen: list[int] = field(default_factory=list)
    stopped: bool = False

    def __post_init__(self) -> None:
        self.lock = threading.Lock()
        self.barrier = threading.Barrier(self.together)

    def work(self, numbers: Sequence[int]) -> list[str | ItemError]:
        with self.lock:
            self.running += 1
            self.most = max(self.most, self.running)
            self.seen += numbers
        self.barrier.wait(10)
        with self.lock:
            self.running -= 1
        return [self.answer(number) for number in numbers]

    def answer(self, number: int) -> str | ItemError:
        return f"answer {number}"

    def stop(self) -> None:
        self.stopped = True


def items(numbers: Sequence[int]) -> list[Item[int]]:
    return [Item(Key("describe", str(number), "m", "1"), number, f"item {number}") for number in numbers]


def last(tallies: Any) -> Tally:
    *_, tally = tallies
    assert isinstance(tally, Tally)
    return tally


def test_calls_run_side_by_side_but_never_more_than_allowed(tmp_path: Path) -> None:
    counting = Counting(parallel=3, together=3)
    with Store(tmp_path / "answers.jsonl") as store:
        tally = last(ask_all(items(range(12)), counting.work, counting, store))
    assert tally == Tally(answered=12)
    assert counting.most == 3


def test_items_are_drawn_only_as_they_are_needed(tmp_path: Path) -> None:
    taken: list[int] = []

    def endless() -> Any:
        number = 0
        while True:
            taken.append(number)
            yield from items([number])
            number += 1

    counting = Counting(batch=2, parallel=2)
    with Store(tmp_path / "answers.jsonl") as store:
        running = ask_all(endless(), counting.work, counting, store)
        next(running)
        running.close()
    assert len(taken) == 2 * 2
    assert counting.stopped


def test_what_is_known_or_stands_there_twice_is_not_asked(tmp_path: Path) -> None:
    counting = Counting(batch=3)
    with Store(tmp_path / "answers.jsonl") as store:
        last(ask_all(items([1, 2]), counting.work, counting, store))
        tally = last(ask_all(items([1, 2, 3, 3, 4]), counting.work, counting, store))
    assert counting.seen == [1, 2, 3, 4]
    assert tally == Tally(stored=3, answered=2)


class Failing(Counting):
    kind: Any = "malformed"

    def answer(self, number: int) -> str | ItemError:
        return ItemError(self.kind, f"item {number}") if number % 2 else super().answer(number)


def test_an_item_that_fails_does_not_end_the_run(tmp_path: Path) -> None:
    failing = Failing(batch=2)
    with Store(tmp_path / "answers.jsonl") as store:
        tally = last(ask_all(items(range(60)), failing.work, failing, store, give_up=2))
        assert (tally.answered, tally.failed) == (30, 30)
        assert last(ask_all(items(range(60)), failing.work, failing, store)).stored == 60


def test_what_was_unreachable_is_asked_again_by_the_next_run(tmp_path: Path) -> None:
    failing = Failing()
    failing.kind = "unreachable"
    with Store(tmp_path / "answers.jsonl") as store:
        last(ask_all(items(range(6)), failing.work, failing, store))
        failing.seen.clear()
        last(ask_all(items(range(6)), failing.work, failing, store))
    assert failing.seen == [1, 3, 5]


def test_a_server_that_is_gone_ends_the_run(tmp_path: Path) -> None:
    failing = Failing()
    failing.kind = "unreachable"
    with Store(tmp_path / "answers.jsonl") as store, pytest.raises(RunError, match="3 items on end"):
        last(ask_all(items(range(1, 99, 2)), failing.work, failing, store, give_up=3))
    assert len(failing.seen) < 10
    assert failing.stopped


def test_an_error_of_the_work_itself_ends_the_run(tmp_path: Path) -> None:
    counting = Counting()

    def broken(numbers: Sequence[int]) -> list[str]:
        raise RunError(f"wrong key at {numbers}")

    with Store(tmp_path / "answers.jsonl") as store, pytest.raises(RunError, match=r"wrong key at \[0\]"):
        last(ask_all(items([0, 1]), broken, counting, store))


def arguments(server: FakeEndpoint, out: Path) -> list[str]:
    return ["--by", "endpoint", "--base-url", server.base_url, "--model", "m", "--out", str(out)]


def hear_interrupts() -> None:
    """A shell starts what it runs in the background deaf to Ctrl-C, and its children inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def start(command: list[str]) -> subprocess.Popen[str]:
    """The command in a process of its own, which Ctrl-C reaches."""
    return subprocess.Popen(
        [sys.executable, "-m", "training.describe", *command],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_interrupts,  # noqa: PLW1509  # no threads are used between fork and exec
    )


def test_the_command_describes_a_folder_and_goes_on_where_it_stopped(
    serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = serve(describing, completion("I cannot help with that."), describing)
    paths = write_photos(tmp_path / "photos", 4)
    (tmp_path / "photos" / "copy.png").write_bytes(paths[0].read_bytes())
    (tmp_path / "photos" / "notes.txt").write_text("no photo")
    out = tmp_path / "out.jsonl"
    command = ["describe", str(tmp_path / "photos"), *arguments(server, out), "--parallel", "1"]
    main([*command, "--limit", "2", "--max-tokens", "77"])
    assert {call["max_tokens"] for call in server.calls} == {77}
    assert capsys.readouterr().out == f"{out}: 1 answered, 1 failed, 0 answered before\n"
    main(command)
    assert capsys.readouterr().out == f"{out}: 2 answered, 0 failed, 3 answered before\n"
    main([*command, "--again"])
    assert capsys.readouterr().out == f"{out}: 1 answered, 0 failed, 4 answered before\n"
    assert set(read_descriptions(out)) == {Photo(path).sha256 for path in paths}
    assert len(server.calls) == 5


def test_a_killed_run_loses_nothing_that_was_answered(serve: Serve, tmp_path: Path) -> None:
    answered = 5
    held = threading.Event()

    def hold(_: dict[str, Any]) -> Reply:
        held.set()
        return Reply(hold=True)

    server = serve(*[describing] * answered, hold)
    write_photos(tmp_path / "photos", 9)
    out = tmp_path / "out.jsonl"
    run = start(["describe", str(tmp_path / "photos"), *arguments(server, out), "--parallel", "1"])
    try:
        assert held.wait(60)
    finally:
        run.send_signal(signal.SIGKILL)
        run.communicate()
    before = out.read_bytes()
    assert before.count(b"\n") == answered
    out.write_bytes(before + b'{"task": "desc')
    again = serve(describing)
    main(["describe", str(tmp_path / "photos"), *arguments(again, out)])
    assert len(again.calls) == 9 - answered
    assert len(read_descriptions(out)) == 9
    assert out.read_bytes().startswith(before)


def test_an_interrupted_command_ends_at_once_and_says_how_to_go_on(serve: Serve, tmp_path: Path) -> None:
    held = threading.Event()

    def hold(_: dict[str, Any]) -> Reply:
        held.set()
        return Reply(hold=True)

    server = serve(describing, hold)
    write_photos(tmp_path / "photos", 9)
    out = tmp_path / "out.jsonl"
    run = start(["describe", str(tmp_path / "photos"), *arguments(server, out), "--parallel", "1"])
    assert held.wait(60)
    run.send_signal(signal.SIGINT)
    _, errors = run.communicate(timeout=20)  # the call on its way has two minutes
    assert run.returncode == 130
    assert errors.endswith("stopped; the same command goes on where this run stopped\n")
    assert len(read_descriptions(out)) == 1


def test_the_command_restates_requests_of_a_text_or_of_records(serve: Serve, tmp_path: Path) -> None:
    server = serve(completion('{"mdd": ["red nails"], "nnp": ["red"]}'))
    plain, records = tmp_path / "requests.txt", tmp_path / "index.jsonl"
    plain.write_text("red nails\n\n赤いネイル\nred nails\n")
    records.write_text(json.dumps({"texts": [{"text": "red nails"}, {"text": "blue"}, {"text": ""}]}) + "\n")
    out = tmp_path / "out.jsonl"
    main(["parse", "--requests", str(plain), *arguments(server, out)])
    assert len(server.calls) == 2
    main(["parse", "--requests", str(records), *arguments(server, out)])
    assert len(server.calls) == 3
    assert set(read_restatements(out).values()) == {Restated(("red nails",), ("red",))}


def test_the_command_needs_no_model(tmp_path: Path) -> None:
    (path,) = write_photos(tmp_path, 1)
    perceived = tmp_path / "perceived.jsonl"
    perceived.write_text(json.dumps({"image": path.name, "attributes": {"shape": [["oval", 0.9]]}}) + "\n")
    out = tmp_path / "out.jsonl"
    main(["describe", str(path), "--by", "compact", "--perceived", str(perceived), "--out", str(out)])
    assert read_descriptions(out) == {Photo(path).sha256: "Oval nails."}
    (tmp_path / "requests.txt").write_text("red nails\n")
    main(["parse", "--requests", str(tmp_path / "requests.txt"), "--by", "compact", "--out", str(out)])
    assert list(read_restatements(out).values()) == [Restated(("nails in red",), ("red nails",))]
    assert {key.by for key in read_answers(out).answers} == {"compact"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "Expecting property name"),
        ('{"attributes": {}}', "missing field 'image'"),
        ('{"sha256": "a"}', "missing field 'attributes'"),
        (
            '{"sha256": "a", "attributes": {"shape": [["heptagon", 1]]}}',
            "'heptagon' is not in the vocabulary",
        ),
        ('{"sha256": "a", "attributes": {}, "palette": [{"lab": [1, 2, 3]}]}', "missing field 'weight'"),
        ('{"image": "absent.png", "attributes": {}}', "No such file"),
    ],
)
def test_a_perception_that_cannot_be_is_named(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "perceived.jsonl"
    path.write_text('{"sha256": "b", "attributes": {}}\n' + line + "\n")
    with pytest.raises(ValueError, match=rf"perceived\.jsonl:2: .*{re.escape(words)}"):
        read_perceived(path)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (
            ["describe", "absent", "--by", "endpoint", "--base-url", "http://h/v1", "--model", "m"],
            "absent: no such file",
        ),
        (
            ["describe", ".", "--by", "endpoint", "--base-url", "h", "--model", "m"],
            "LUNULA_ENDPOINT_BASE_URL: ",
        ),
        (["describe", ".", "--by", "endpoint", "--base-url", "http://h/v1"], "LUNULA_ENDPOINT_MODEL: "),
        (["describe", ".", "--by", "compact"], "--by compact needs --perceived"),
        (["describe", ".", "--by", "qwen"], "--by qwen needs --model"),
        (["parse", "--requests", "absent.txt", "--by", "compact"], "absent.txt: No such file"),
    ],
)
def test_a_command_that_cannot_run_says_why(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as left:
        main([*command, "--out", "out.jsonl"])
    assert left.value.code in (1, 2)
    assert words in capsys.readouterr().err


def test_a_wrong_key_ends_the_command_with_what_was_answered_kept(
    serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = serve(describing, Reply(401, b"no such key"))
    write_photos(tmp_path / "photos", 5)
    out = tmp_path / "out.jsonl"
    with pytest.raises(SystemExit):
        main(["describe", str(tmp_path / "photos"), *arguments(server, out), "--parallel", "1"])
    assert "HTTP 401: no such key" in capsys.readouterr().err
    assert len(read_descriptions(out)) == 1
