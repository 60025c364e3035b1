"""Files are taken when they are the pinned ones, and a model without a checksum waits for a person's word."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="training is tested in an environment of its own: make test-full")
pytest.importorskip("transformers", reason="the hubs' encoders need the training environment")

from training.full import __main__ as command
from training.full import fetch as fetching
from training.full.catalogue import ENCODERS
from training.full.pins import SHIPPED, pin_of
from training.kit.pins import Pin, PinError, measured, read_pins, record, verify

pytestmark = pytest.mark.torch


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def a_pin(**files: str) -> Pin:
    return Pin(
        "some",
        "someone/some",
        "0" * 40,
        "MIT",
        {name.replace("__", "."): sum_ for name, sum_ in files.items()},
    )


def test_every_encoder_has_a_pin_with_a_full_revision_or_a_release() -> None:
    for name in ENCODERS:
        pin = pin_of(name)
        if pin.repository.startswith("https://"):
            assert pin.revision.startswith("release ")
        else:
            assert len(pin.revision) == 40
            assert not pin.unknown, "the hub says the checksum of what it stores"
    assert {pin.removesuffix("-text") for pin in ENCODERS} == set(read_pins(SHIPPED)), "no pin is left over"


def test_a_file_other_than_the_pinned_one_is_refused_with_both_checksums(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"right")
    pin = a_pin(a__bin=sha256(b"right"))
    assert verify(pin, tmp_path) == {"a.bin": sha256(b"right")}
    (tmp_path / "a.bin").write_bytes(b"wrong")
    with pytest.raises(PinError, match=f"{sha256(b'wrong')}, pinned is {sha256(b'right')}"):
        verify(pin, tmp_path)
    with pytest.raises(PinError, match=r"needs b.bin of someone/some"):
        measured(a_pin(b__bin=""), tmp_path)


def test_without_a_checksum_nothing_is_taken_until_it_is_recorded(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"content")
    pin, own = a_pin(a__bin=""), tmp_path / "own" / "pins.toml"
    with pytest.raises(PinError, match=r"no checksum is known of a\.bin.*--record-pin"):
        verify(pin, tmp_path)
    complete = record(pin, tmp_path, own)
    assert verify(complete, tmp_path)
    assert read_pins(own)["some"] == complete
    record(Pin("other", "o/o", "1", "MIT", {"a.bin": ""}), tmp_path, own)
    assert set(read_pins(own)) == {"some", "other"}, "what is recorded stays"
    with pytest.raises(PinError, match="pinned is"):
        record(a_pin(a__bin=sha256(b"else")), tmp_path, own)


def test_a_persons_pins_fill_gaps_and_override_nothing(tmp_path: Path) -> None:
    shipped = pin_of("beit3-large-text")
    gap = shipped.unknown[0]
    own = tmp_path / "pins.toml"
    text = (
        '["{name}"]\nrepository = "r"\nrevision = "v"\nlicence = "l"\n["{name}".files]\n"{file}" = "{sum}"\n'
    )
    own.write_text(text.format(name="beit3-large", file=gap, sum="a" * 64))
    filled = pin_of("beit3-large", own)
    assert filled.files[gap] == "a" * 64
    assert filled.repository == shipped.repository
    own.write_text(text.format(name="beit3-large", file="beit3.spm", sum="a" * 64))
    with pytest.raises(PinError, match="contradicts the pinned"):
        pin_of("beit3-large", own)
    own.write_text(text.format(name="beit3-large", file="other.bin", sum="a" * 64))
    with pytest.raises(PinError, match=r"has no file 'other\.bin'"):
        pin_of("beit3-large", own)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ('revision = "v"', "some.revision is not a text"),
        ('"a" = "%s"' % ("b" * 64), r"some.files is not a table|some.files.'a'"),
    ],
)
def test_a_pins_file_that_lacks_something_says_what(tmp_path: Path, change: str, message: str) -> None:
    text = f'[some]\nrepository = "r"\nrevision = "v"\nlicence = "l"\n[some.files]\n"a" = "{"b" * 64}"\n'
    path = tmp_path / "pins.toml"
    path.write_text(text)
    assert read_pins(path)["some"].files == {"a": "b" * 64}
    path.write_text(text.replace(change, ""))
    with pytest.raises(PinError, match=message):
        read_pins(path)


def test_a_pin_can_neither_hold_a_wrong_sum_nor_leave_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "pins.toml"
    head = '[some]\nrepository = "r"\nrevision = "v"\nlicence = "l"\n[some.files]\n'
    path.write_text(head + '"a" = "12"\n')
    with pytest.raises(PinError, match="is no sha256"):
        read_pins(path)
    path.write_text(head + f'"../a" = "{"b" * 64}"\n')
    with pytest.raises(PinError, match="outside the folder"):
        read_pins(path)
    path.write_text("[some")
    with pytest.raises(PinError, match=r"pins\.toml"):
        read_pins(path)
    assert SHIPPED.exists()


class Server:
    """Stands for the network: what it holds, and what was asked of it."""

    def __init__(self, **held: bytes) -> None:
        self.held, self.asked = {name.replace("__", "."): content for name, content in held.items()}, []

    def __call__(self, pin: Pin, name: str, out: Path) -> None:
        self.asked.append((pin.repository, pin.revision, name))
        (out / name).write_bytes(self.held[name])


def test_fetch_asks_for_the_pinned_revision_and_keeps_what_is_right(tmp_path: Path) -> None:
    server = Server(a__bin=b"a", b__bin=b"b")
    pin = a_pin(a__bin=sha256(b"a"), b__bin="")
    lines: list[str] = []
    fetching.fetch(pin, tmp_path, server, lines.append)
    assert server.asked == [(pin.repository, pin.revision, "a.bin"), (pin.repository, pin.revision, "b.bin")]
    assert any("nothing pins yet" in line for line in lines)
    fetching.fetch(pin, tmp_path, server, lines.append)
    assert len(server.asked) == 3, "only the file without a checksum is brought again"


def test_fetch_refuses_what_arrives_changed(tmp_path: Path) -> None:
    with pytest.raises(PinError, match="arrived with sha256"):
        fetching.fetch(a_pin(a__bin=sha256(b"a")), tmp_path, Server(a__bin=b"evil"), lambda _: None)


def test_the_command_lists_every_encoder(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["list"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in ENCODERS)
    assert "no checksum of beit3_large" in printed


def test_the_command_exports_a_tiny_twin(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["export", "dinov2-large", "--tiny", "--fp16", "--to", str(tmp_path)]) == 0
    assert (tmp_path / "image_style" / "1" / "model.onnx").exists()
    assert "cosine 1.0000" in capsys.readouterr().out


def test_the_command_records_a_pin_and_then_takes_the_files_without_being_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a BEiT-3 large that is tiny inside: refused, recorded, exported, and refused when it changes."""
    from training.full import beit3_encoders
    from training.full.beit3_weights import OfficialNames
    from training.kit.networks.beit3 import Beit3, Beit3Config

    tiny = ENCODERS["beit3-large"].tiny()
    monkeypatch.setitem(ENCODERS, "beit3-large", tiny)
    own, weights = tmp_path / "own.toml", tmp_path / "weights"
    monkeypatch.setattr(command, "OWN_PINS", own)
    assert isinstance(tiny, beit3_encoders.Beit3Image)
    model = Beit3(Beit3Config.tiny())
    state = {OfficialNames.of(name): value.detach() for name, value in model.named_parameters()}
    weights.mkdir()
    torch.save({"model": state}, weights / tiny.checkpoint)
    (weights / "beit3.spm").write_bytes(b"pieces")
    pins: dict[str, Any] = read_pins(SHIPPED)
    changed = Pin("beit3-large", "r", "v", "MIT", {tiny.checkpoint: "", "beit3.spm": sha256(b"pieces")})
    monkeypatch.setattr("training.full.pins.read_pins", with_pin(pins | {"beit3-large": changed}))
    wanted = ["export", "beit3-large", "--weights", str(weights), "--to", str(tmp_path / "repository")]

    assert command.main(wanted) == 1
    assert "--record-pin" in capsys.readouterr().err
    assert command.main([*wanted, "--record-pin"]) == 0
    assert own.exists()
    assert command.main(wanted) == 0
    described = (tmp_path / "repository" / "image_align" / "model.toml").read_text()
    assert sha256((weights / tiny.checkpoint).read_bytes()) in described

    torch.save({"model": state, "more": 1}, weights / tiny.checkpoint)
    capsys.readouterr()
    assert command.main(wanted) == 1
    assert "not the pinned files" in capsys.readouterr().err


def with_pin(pins: dict[str, Pin]) -> Any:
    """`read_pins` whose shipped pins are `pins`; other files are read as ever."""
    return lambda path=SHIPPED: pins if path == SHIPPED else read_pins(path)


def test_a_name_that_does_not_exist_is_answered_with_those_that_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command.main(["export", "clip-tiny", "--tiny", "--to", "x"]) == 1
    assert "there are beit3-base, " in capsys.readouterr().err
