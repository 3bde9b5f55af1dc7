# SPDX-License-Identifier: MIT
"""What the demos share: daemons, a guest that uses them, and a table in the end."""

import contextlib
import os
import pathlib
import shlex
import shutil
import signal
import sys
import time

from terminal import Terminal
from vm import VmError


def say(words):
    print(f"run: {words}", file=sys.stderr, flush=True)


class Demo:
    """A demo fills in the rest: make_daemons() and machine() make what runs,
    check_driver() looks whether the guest took the device, show_all() shows
    what there is to see or hear, and after_command() what a command left."""

    def __init__(self, options):
        self.options = options
        self.out = pathlib.Path(options.share or options.out).resolve()
        self.out.mkdir(parents=True, exist_ok=True)
        self.rows = []

    def run(self):
        with contextlib.ExitStack() as stack:
            self.daemons = [stack.enter_context(daemon) for daemon in self.make_daemons()]
            self.vm = stack.enter_context(self.machine())
            try:
                return self.run_guest()
            except VmError:
                # A daemon that failed is the cause, whatever was noticed first.
                for daemon in self.daemons:
                    if daemon.process.poll():
                        daemon.must_live("the guest used it")
                raise

    def run_guest(self):
        say("the guest boots")
        started = time.monotonic()
        release = self.vm.wait_boot()
        say(f"Linux {release} is up after {time.monotonic() - started:.1f} s")
        self.check_driver()
        if self.options.command:
            return self.run_command()
        self.show_all()
        if self.options.keep:
            self.shell()
        return 0

    def run_command(self):
        """Runs the user's command in the shared folder; its status is ours."""
        result = self.vm.run(shlex.join(self.options.command), timeout=self.options.timeout,
                             out=_writer(sys.stdout.buffer), err=_writer(sys.stderr.buffer))
        self.vm.must_live("the command ran")
        self.after_command()
        return result.status

    def shell(self):
        say("a shell in the guest; leave it with exit or Ctrl-D")
        columns, rows = shutil.get_terminal_size()
        command = ("{ stty sane rows %d cols %d; cd /root; export TERM=%s; setsid -c bash -il; } "
                   "</dev/hvc0 >/dev/hvc0 2>&1"
                   % (rows, columns, shlex.quote(os.environ.get("TERM", "linux"))))
        with Terminal(self.vm.tty):
            self.vm.run(command, timeout=7 * 86400)


def add_options(parser):
    """The options that all demos have."""
    parser.add_argument("--out", default="virga-out")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--share")
    parser.add_argument("--timeout", type=float, default=3600)
    parser.add_argument("command", nargs="*")


def main(demo, options):
    """Runs a demo; what went wrong is a line, and status 1."""
    for name in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, lambda number, _frame: sys.exit(128 + number))
    try:
        return demo(options).run()
    except VmError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130


def _writer(stream):
    def write(data):
        stream.write(data)
        stream.flush()
    return write
