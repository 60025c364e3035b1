"""The contract gate: a change that would break callers is caught, an addition is not one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tools.contract_gate import ACCEPTED, ContractError, accept, check, describe

ROOT = Path(__file__).resolve().parents[3]
CROP = Path("protos/lunula/crop/v1/crop_service.proto")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The contract of this project, accepted as it is, in a folder without a history."""
    shutil.copytree(ROOT / "protos", tmp_path / "protos")
    shutil.copy(ROOT / "buf.yaml", tmp_path)
    (tmp_path / ACCEPTED).unlink()
    accept(tmp_path)
    return tmp_path


def edit(root: Path, old: str, new: str) -> None:
    text = (root / CROP).read_text(encoding="utf-8")
    assert old in text
    (root / CROP).write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("int32 target_hand = 4;", "int32 chosen_hand = 4;"),
        ("int32 target_hand = 4;", "int32 target_hand = 14;"),
        ("int32 target_hand = 4;", "string target_hand = 4;"),
        ("bytes overlay = 10;", "// bytes overlay = 10;"),
        ("CROP_FORMAT_JPEG = 2;", "CROP_FORMAT_JPEG = 3;"),
        ("  rpc StreamCrops(", "  // rpc StreamCrops("),
        ('option go_package = "lunula/crop/v1;cropv1";', 'option go_package = "crop";'),
    ],
)
def test_a_breaking_change_is_caught_and_not_accepted_by_accident(copy: Path, old: str, new: str) -> None:
    check(copy)
    edit(copy, old, new)
    with pytest.raises(ContractError, match=r"crop_service\.proto"):
        check(copy)
    with pytest.raises(ContractError):
        accept(copy)
    accept(copy, breaking=True)
    check(copy)


def test_an_addition_passes_and_is_guarded_once_it_is_accepted(copy: Path) -> None:
    edit(copy, "bytes overlay = 10;", "bytes overlay = 10;\n  string note = 11;")
    check(copy)
    accept(copy)
    edit(copy, "string note = 11;", "string remark = 11;")
    with pytest.raises(ContractError, match="note"):
        check(copy)


def test_a_contract_that_was_never_accepted_is_named(copy: Path) -> None:
    (copy / ACCEPTED).unlink()
    with pytest.raises(ContractError, match="make contract-accept"):
        check(copy)


def test_the_accepted_contract_is_the_present_one() -> None:
    accepted = (ROOT / ACCEPTED).read_text(encoding="utf-8")
    assert accepted == describe(ROOT), (
        "the contract has changed: run `make contract-accept` and commit the file"
    )
