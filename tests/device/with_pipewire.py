#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs a program beside a PipeWire of its own (demos/lib/pipewire.py) and ends as it does.

  with_pipewire.py VERSION LOGS PROGRAM [ARGUMENT]...

SIGUSR1 from the program kills PipeWire as a crash would, SIGUSR2 starts it again. The exit
status is 77, a skip, where PipeWire or its session manager is not installed, or is not of the
VERSION of the program's library (0.3.65), but for the last number: it would load the wrong plugins."""

import pathlib
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "demos" / "lib"))
import pipewire  # pylint: disable=wrong-import-position


def obey(own):
    """The program's signals, one after the other."""
    both = {signal.SIGUSR1: own.kill, signal.SIGUSR2: own.resume}

    def handle(number, _):
        signal.pthread_sigmask(signal.SIG_BLOCK, both)
        both[number]()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, both)

    for number in both:
        signal.signal(number, handle)


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    version, logs, *command = sys.argv[1:]
    for tool in ("pipewire", "wireplumber", "pw-cli"):
        if not shutil.which(tool):
            print(f"skipped: {tool} is not installed")
            return 77
    if f"libpipewire {version.rsplit('.', 1)[0]}." not in (pipewire.answer("pipewire", "--version") or ""):
        print(f"skipped: the library is of PipeWire {version}, which is not what runs here")
        return 77
    with pipewire.PipeWire(logs) as own:
        obey(own)
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
