# SPDX-License-Identifier: MIT
"""The test bed's QEMU, under the name that others look for it by."""

import pathlib
import shlex
import subprocess
import sys

import daemon

DEMOS = pathlib.Path(__file__).resolve().parents[2] / "demos"
TESTBED = DEMOS / "testbed"
sys.path.append(str(DEMOS / "lib"))


def tree(name):
    """The folder of a tree, or None where it has not been made."""
    path = pathlib.Path(subprocess.run([TESTBED, "path", name], check=True, capture_output=True,
                                       text=True).stdout.strip())
    return path if (path / "stamp").exists() else None


def need_trees(*names):
    for name in names:
        if not tree(name):
            daemon.skip(f"the test bed has no tree '{name}'; this makes it: demos/testbed make {name}")


def write_emulator(path, name="qemu", more=()):
    """A program that is QEMU: for those who give it another environment than ours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n"
                    f"export VIRGA_CACHE={shlex.quote(str(tree(name).parent))} VIRGA_QEMU={name}\n"
                    f"exec {shlex.quote(str(TESTBED))} qemu \"$@\" {shlex.join(more)}\n")
    path.chmod(0o755)
    return path
