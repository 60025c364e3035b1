"""Installs a real Triton server under `.lunula/triton`: `python -m tools.triton_install`.

The server comes from the wheel of `nvidia-pytriton`, which carries `tritonserver` and its Python backend.
What is laid out (a stamp covers lock files, backend and interpreter: a change of any installs anew):

    runtime/    the wheel, unpacked
    stub/       the environment of the backend's Python processes: NumPy 1 and ONNX Runtime
    backends/   python (copied out of the wheel) and onnxruntime (`onnx_backend.py`)
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

DEFAULT_ROOT = Path(".lunula/triton")
ONNX_BACKEND = Path(__file__).with_name("onnx_backend.py")
"""Served as code of Triton's Python backend, next to it as a file; never run in this process."""
_LOCKS = ("triton.txt", "triton-stub.txt")
_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


class InstallError(RuntimeError):
    """This machine cannot run the server, or a step of the installation failed."""


@dataclass(frozen=True)
class Installation:
    """Where the parts of an installed server lie. `root` may be relative; the properties are absolute."""

    root: Path

    @property
    def binary(self) -> Path:
        """The server's executable."""
        return self._at("runtime", "pytriton", "tritonserver", "bin", "tritonserver")

    @property
    def backends(self) -> Path:
        """What `--backend-directory` names."""
        return self._at("backends")

    @property
    def stamp(self) -> Path:
        """Written last; holds the digest of what was installed."""
        return self._at("stamp")

    def environment(self) -> dict[str, str]:
        """Environment of the server: the stub's Python first on PATH, and the libraries of both."""
        paths = [str(self._at("stub", "bin")), os.environ.get("PATH", os.defpath)]
        libraries = [
            str(sysconfig.get_config_var("LIBDIR")),
            str(self._at("runtime", "nvidia_pytriton.libs")),
        ]
        keep = {
            key: os.environ[key]
            for key in ("HOME", "LANG", "TMPDIR", "CUDA_VISIBLE_DEVICES")
            if key in os.environ
        }
        return keep | {"PATH": os.pathsep.join(paths), "LD_LIBRARY_PATH": os.pathsep.join(libraries)}

    def is_current(self, locks: Path) -> bool:
        """Whether what is installed is what `locks` and this code ask for."""
        return self.stamp.is_file() and self.stamp.read_text("utf-8") == digest(locks)

    def _at(self, *parts: str) -> Path:
        return self.root.resolve().joinpath(*parts)


def digest(locks: Path) -> str:
    """sha256 hex over the lock files, the backend's code and this interpreter."""
    backend = ONNX_BACKEND
    content = b"".join(path.read_bytes() for path in (*(locks / name for name in _LOCKS), backend))
    return hashlib.sha256(content + sys.version.encode() + sys.base_prefix.encode()).hexdigest()


def install(root: Path, locks: Path) -> bool:
    """Install the server under `root`; returns whether there was anything to do. Raises InstallError.

    An installation that was cut short is not mistaken for a whole one: the stamp is written last.
    """
    installed = Installation(root)
    if installed.is_current(locks):
        return False
    library = Path(str(sysconfig.get_config_var("LIBDIR"))) / str(sysconfig.get_config_var("INSTSONAME"))
    if not library.is_file():
        raise InstallError(
            f"{library} is absent: the server embeds Python and needs it built as a shared library"
        )
    for name in ("stamp", "runtime", "stub", "backends"):
        path = root.resolve() / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    root.mkdir(parents=True, exist_ok=True)
    here = root.resolve()
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-q", "--require-hashes"]
    _run([*pip, "--no-deps", "--target", str(here / "runtime"), "-r", str(locks / _LOCKS[0])])
    # The base interpreter: a virtual environment made from another one would lose its libraries.
    base = getattr(sys, "_base_executable", sys.executable)
    _run([base, "-m", "venv", "--without-pip", str(here / "stub")])
    packages = here / "stub" / "lib" / f"python{_PYTHON}" / "site-packages"
    _run([*pip, "--no-deps", "--target", str(packages), "-r", str(locks / _LOCKS[1])])
    _lay_out_backends(here)
    installed.stamp.write_text(digest(locks), "utf-8")
    return True


def _lay_out_backends(here: Path) -> None:
    # Copies: the server does not follow links here.
    wheel = here / "runtime" / "pytriton" / "tritonserver"
    stub = wheel / "python_backend_stubs" / _PYTHON / "triton_python_backend_stub"
    if not stub.is_file():
        raise InstallError(f"the server has no stub for Python {_PYTHON}")
    shutil.copytree(wheel / "backends" / "python", here / "backends" / "python")
    shutil.copy2(stub, here / "backends" / "python" / stub.name)
    own = here / "backends" / "onnxruntime"
    own.mkdir()
    shutil.copy2(ONNX_BACKEND, own / "model.py")
    for executable in (here / "backends" / "python" / stub.name, Installation(here).binary):
        executable.chmod(0o755)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise InstallError(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}{done.stderr}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 0 when the server is installed afterwards."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.triton_install", description="Install the Triton server."
    )
    parser.add_argument("--root", type=Path, default=DEFAULT_ROOT, help="where to (default: %(default)s)")
    parser.add_argument(
        "--locks", type=Path, default=Path("locks"), help="folder of the lock files (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    try:
        done = install(options.root, options.locks)
    except InstallError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{options.root}: {'installed' if done else 'already installed'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
