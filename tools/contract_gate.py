"""The contract that callers rely on, and the gate that keeps it: `python -m tools.contract_gate check`.

protos/accepted.json is an image of the contract as it was accepted last. `check` lets buf compare the present
protos with it and fails for whatever would break a caller: a field renamed, renumbered or of another type, an
rpc, message or value that is gone, another package. `accept` writes the present contract there, so that what
was added is guarded from then on; it refuses a break unless `--breaking` says that it is meant.

The image is committed because everything else that a contract could be compared with is missing somewhere:
the merge base with the main branch is the commit itself on that branch, a fresh clone may have no tags and no
other branches, and an archive has no history at all. A change of the contract shows in the diff of this file,
one line for each field, where a reviewer sees it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ACCEPTED = Path("protos/accepted.json")
WIDTH = 200


class ContractError(RuntimeError):
    """The contract is broken, or cannot be built; the message says where and what to do."""


def check(root: Path) -> None:
    """Compares the protos under `root` with what was accepted. Raises ContractError for a breaking change."""
    if not (root / ACCEPTED).is_file():
        raise ContractError(f"{ACCEPTED} is missing: run `make contract-accept` and commit it.")
    result = _buf(root, "breaking", "--against", str(ACCEPTED))
    if result.returncode:
        raise ContractError(
            f"{result.stdout}{result.stderr}The contract would break callers. Add fields and methods and "
            "change none; where the break is meant, run `make contract-accept BREAKING=yes`."
        )


def accept(root: Path, *, breaking: bool = False) -> None:
    """Writes the present contract to protos/accepted.json.

    Raises ContractError for a breaking change unless `breaking` is set, and for protos that do not compile.
    """
    if not breaking and (root / ACCEPTED).is_file():
        check(root)
    (root / ACCEPTED).write_text(describe(root), encoding="utf-8")


def describe(root: Path) -> str:
    """The present contract as a buf image in JSON, one line for each field, method and value.

    Raises ContractError for protos that do not compile.
    """
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "image.json"
        result = _buf(root, "build", "--exclude-source-info", "--output", str(image))
        if result.returncode:
            raise ContractError(f"The protos do not compile:\n{result.stdout}{result.stderr}")
        return _dump(json.loads(image.read_text(encoding="utf-8"))) + "\n"


def _dump(value: Any, indent: str = "") -> str:
    """JSON in which whatever fits a line stands on one line."""
    line = json.dumps(value, sort_keys=True)
    if not isinstance(value, dict | list) or (indent and len(line) <= WIDTH):
        return line
    inner = indent + " "
    if isinstance(value, dict):
        parts = [f"{inner}{json.dumps(key)}: {_dump(value[key], inner)}" for key in sorted(value)]
        return "{\n" + ",\n".join(parts) + f"\n{indent}}}"
    return "[\n" + ",\n".join(inner + _dump(item, inner) for item in value) + f"\n{indent}]"


def _buf(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # buf stands beside the interpreter in an environment that is not activated.
    program = Path(sys.executable).parent / "buf"
    return subprocess.run([str(program), *arguments], cwd=root, capture_output=True, text=True, check=False)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Guards the gRPC contract against breaking changes.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check", help="fail when the contract would break callers")
    writer = commands.add_parser("accept", help="accept the contract as it is now")
    writer.add_argument("--breaking", action="store_true", help="also when it breaks callers")
    given = parser.parse_args()
    try:
        if given.command == "check":
            check(Path())
        else:
            accept(Path(), breaking=given.breaking)
    except ContractError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
