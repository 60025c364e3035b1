"""Runs a module as `python -m` would, in a process that ends when its parent does.

    python -m cli.stack.child services.crop --port 7101

A parent that is killed cannot stop its children, so each asks the kernel for SIGTERM at that moment
(Linux; elsewhere this is plain `python -m`). Done here and not between fork and exec, where Python code
is unsafe once threads run.
"""

from __future__ import annotations

import os
import runpy
import sys

from services.kit.parent import end_with_parent


def main() -> None:
    """Tie this process to its parent and become the module named by the first argument."""
    if not end_with_parent(os.getppid()):  # it died before the kernel knew
        sys.exit(1)
    module = sys.argv[1]
    sys.argv = sys.argv[1:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
