"""Build hook: turns `protos/` into the package `lunula/` when the project is installed or built."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


def generate(root: Path) -> None:
    """Write messages, services and their type stubs for every proto under `root`/protos to `root`/lunula."""
    from grpc_tools import protoc

    out = root / "lunula"
    shutil.rmtree(out, ignore_errors=True)
    # The plugins stand beside the interpreter in an environment that is not activated.
    search = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    plugins = {name: shutil.which(f"protoc-gen-{name}", path=search) for name in ("mypy", "mypy_grpc")}
    protos = sorted(str(path.relative_to(root / "protos")) for path in (root / "protos").rglob("*.proto"))
    builtin = Path(protoc.__file__).parent / "_proto"
    status = protoc.main(
        [
            "protoc",
            f"-I{root / 'protos'}",
            f"-I{builtin}",
            *(f"--plugin=protoc-gen-{name}={path}" for name, path in plugins.items()),
            f"--python_out={root}",
            f"--grpc_python_out={root}",
            f"--mypy_out={root}",
            f"--mypy_grpc_out={root}",
            *protos,
        ]
    )
    if status != 0:
        raise RuntimeError(f"protoc failed with status {status}")
    for folder in [out, *(path for path in out.rglob("*") if path.is_dir())]:
        (folder / "__init__.py").touch()
    (out / "py.typed").touch()


class ProtoBuildHook(BuildHookInterface):  # type: ignore[type-arg]  # generic in its stubs only
    """Runs `generate` before the files of the package are collected."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - the hook's signature
        generate(Path(self.root))
        build_data["artifacts"].append("lunula/**")


if __name__ == "__main__":
    generate(Path(__file__).parent)
    sys.stdout.write("lunula/ generated from protos/\n")
