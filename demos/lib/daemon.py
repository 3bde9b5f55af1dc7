# SPDX-License-Identifier: MIT
"""A Virga daemon: starts it, waits for its socket, keeps its words.

    with Daemon(["build/gpu/virga-gpu"], logs="out") as gpu:
        Vm(devices=gpu.qemu_arguments("vhost-user-gpu-pci"), ...)
"""

import collections
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from vm import VmError, scaled

Frame = collections.namedtuple("Frame", "scanout number width height crc when")
FRAME = re.compile(r"scanout=(\d+) frame=(\d+) size=(\d+)x(\d+) crc=([0-9a-fA-F]+)")


class Daemon:
    """Its standard output is kept in frames.txt and, as far as it tells of
    frames, in `frames`; what it says of its descriptors in `counts`; its errors
    in daemon.log."""

    def __init__(self, command, logs):
        self.command, self.logs = list(command), pathlib.Path(logs)
        self.frames, self.counts = [], []
        self.logs.mkdir(parents=True, exist_ok=True)
        # Not under the logs: a socket's path may have 107 bytes.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="virga."))
        self.socket = self.folder / "socket"
        self.process = None

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_):
        self.stop()

    def start(self):
        with open(self.logs / "daemon.log", "wb") as log:
            self.process = subprocess.Popen(
                [*self.command, f"--socket-path={self.socket}"],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
            )
        self.reader = threading.Thread(target=self._read_frames, daemon=True)
        self.reader.start()
        deadline = time.monotonic() + scaled(15)
        while not self.socket.exists():
            self.must_live("it was to make its socket")
            if time.monotonic() > deadline:
                raise VmError(f"{self.command[0]} makes no socket.{self.last_words()}")
            time.sleep(0.02)
        return self

    def stop(self):
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(scaled(5))
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.reader.join(scaled(5))
            self.process.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def qemu_arguments(self, device):
        """QEMU's arguments for a vhost-user device with this daemon behind it."""
        name = self.folder.name  # no other daemon's
        return ["-chardev", f"socket,id={name},path={self.socket}", "-device", f"{device},chardev={name}"]

    def must_live(self, doing):
        status = self.process.poll()
        if status is not None:
            raise VmError(f"{self.command[0]} ended with {status} while {doing}.{self.last_words()}")

    def descriptors(self):
        """How many it has open, as it says itself: only root could look."""
        asked, deadline = len(self.counts), time.monotonic() + scaled(15)
        self.process.send_signal(signal.SIGUSR1)
        while len(self.counts) == asked:
            self.must_live("its descriptors were counted")
            if time.monotonic() > deadline:
                raise VmError(f"{self.command[0]} does not say what is open.{self.last_words()}")
            time.sleep(0.01)
        return self.counts[-1]

    def last_words(self):
        log = self.logs / "daemon.log"
        lines = [line for line in log.read_text(errors="replace").splitlines()
                 if " dbg: " not in line][-4:]
        return f"\n{log}:\n  " + "\n  ".join(lines) if lines else ""

    def _read_frames(self):
        with open(self.logs / "frames.txt", "w", buffering=1) as kept:
            for line in self.process.stdout:
                text = line.decode(errors="replace")
                kept.write(text)
                if found := FRAME.match(text):
                    numbers = [int(n) for n in found.groups()[:4]]
                    self.frames.append(Frame(*numbers, found[5].lower(), time.monotonic()))
                elif text.startswith("descriptors="):
                    self.counts.append(int(text.split("=")[1]))
