# SPDX-License-Identifier: MIT
"""The daemon as a real process, for the tests in this folder."""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import types
import unittest

SKIP = 77
NOBODY = 65534
GET_FEATURES, VERSION_1 = 1, 1


def scaled(seconds):
    """Time limits are generous; VIRGA_TIMEOUT_SCALE makes them more so."""
    return seconds * float(os.environ.get("VIRGA_TIMEOUT_SCALE", "1"))


def skip(reason):
    """Ends the whole test as skipped, and says why."""
    print(f"SKIP: {reason}")
    sys.exit(SKIP)


def wait_for(condition, what, seconds=10):
    deadline = time.monotonic() + scaled(seconds)
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {scaled(seconds):.0f} s: {what}")
        time.sleep(0.02)
    return result


class Folder:
    """A folder of the test's own with a copy of the program in it, which every user may run."""

    def __init__(self, program):
        # A socket's path may have 107 bytes only.
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="virga."))
        self.path.chmod(0o755)
        self.program = self.path / program.name
        shutil.copy(program, self.program)
        self.program.chmod(0o755)

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)

    def closed(self):
        """A folder in which an ordinary user makes no files."""
        path = self.path / "closed"
        path.mkdir(mode=0o555)
        return path


def as_ordinary_user():
    """What to put before a command: root is stopped by no permission."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]


LISTENS, CONNECTED = "listens", "connected"


def sockets_at(path):
    """What the kernel has at a path. A daemon's socket got its name before it was moved there."""
    with open("/proc/net/unix") as table:
        rows = [line.split() for line in table]
    flags, state = 3, 5
    return [LISTENS if row[flags] == "00010000" else CONNECTED if row[state] == "03" else ""
            for row in rows if row[-1] in (str(path), f"{path}~")]


class Daemon:
    """A running daemon; ended and waited for at the end of the with block, with all that it started
    if it has a session of its own."""

    def __init__(self, *command, **popen):
        self.group = popen.get("start_new_session", False)
        self.process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **popen)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.group:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        elif self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def wait_listening(self, path):
        """Until it takes connections; it ends when that takes too long."""
        try:
            wait_for(lambda: self._must_live() and LISTENS in sockets_at(path), f"a socket at {path}",
                     60)  # a library may look at all of its plugins first
        except AssertionError:
            self.__exit__()
            raise
        return self

    def _must_live(self):
        if self.process.poll() is not None:
            raise AssertionError(f"ended with {self.process.returncode}: {self.process.stderr.read()}")
        return True

    def end(self, sig=signal.SIGTERM):
        """The exit status after a signal; its way out may take 2 s."""
        self.process.send_signal(sig)
        return self.status()

    def status(self):
        return self.process.wait(scaled(2))


def ask_features(sock):
    """What a front-end asks first; an answer means that the daemon serves this socket."""
    sock.settimeout(scaled(5))
    sock.sendall(struct.pack("=III", GET_FEATURES, VERSION_1, 0))
    reply = b""
    while len(reply) < 20:
        data = sock.recv(20 - len(reply))
        if not data:
            raise AssertionError("the daemon closed the connection in place of an answer")
        reply += data
    request, _flags, size, features = struct.unpack("=IIIQ", reply)
    if (request, size) != (GET_FEATURES, 8):
        raise AssertionError(f"not an answer to GET_FEATURES: {reply.hex()}")
    return features


def ask_at(path):
    """Connects as a front-end, asks once, and leaves."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(scaled(5))
        sock.connect(str(path))
        return ask_features(sock)


def answers_at(path):
    try:
        ask_at(path)
        return True
    except OSError:
        return False


# What a test has to know of each program.
GPU = types.SimpleNamespace(
    name="virga-gpu", type="gpu",
    # All that libvirt and QEMU's docs/interop/vhost-user.json know of a gpu.
    features={"virgl", "render-node"},
    files="--display=png:",  # it writes files below this folder
    device="vhost-user-gpu-pci",
    says="",
    bad={
        "--outputs": ["", "0x0", "1280", "1280x", "x800", "1280x800,", "1280x800x32",
                      "16385x100", "100x16385", "-1x100", ",".join(["640x480"] * 17)],
        "--max-hostmem": ["", "0", "-5", "1Q", "1MM", "M", "1.5G", "99999999999999999999",
                          "99999999999T"],
        "--max-command-time": ["", "0", "-1", "1.5", "10s", "86401", "99999999999999999999"],
        "--hostmem": ["", "0", "512K", "3M", "1MM", "99999999999999999999"],
        "--display": ["", "gtk", "png", "png:", "PNG:dir"],
        "--scanout": ["", "pixels", "DMABUF"], "--render-node": [""],
    },
)
SOUND = types.SimpleNamespace(
    name="virga-sound", type="sound",
    features=set(),  # QEMU's schema has no such type
    files="--backend=file:",
    device="vhost-user-snd-pci",
    # Soon after its start, on standard error: there is no PipeWire, see main().
    says="pipewire warn: PipeWire is away (No such file or directory): no sound until it is there\n",
    bad={
        "--backend": ["", "alsa", "file", "file:", "pipewire:", "FILE:dir"],
        "--playback": ["", "-1", "33", "1.5", "x", "1x", " 1", "99999999999999999999"],
        "--capture": ["", "-1", "33", "off"],
        "--name": [""], "--media-role": [""], "--target": [""],
    },
)

VIDEO = types.SimpleNamespace(
    name="virga-video", type="video",
    features=set(),
    files=None,
    device="vhost-user-test-device-pci",
    says="",
    bad={
        "--device": ["", "camera", "DECODER"],
        "--dialect": ["", "v4", "v9", "media"],
        "--codecs": ["", "h265", "h264,", ",h264", "h264,,vp8", "nv12", "H264", "h264 "],
        "--isolate": ["", "thread"],
        "--max-memory": ["", "0", "1Q", "99999999999999999999"],
    },
)


class DaemonTest(unittest.TestCase):
    """A case with a folder of its own. PROGRAM, and what is known of it, are set by main(). ONLY names
    the program that a case is about, if it is not about each."""

    PROGRAM = ABOUT = ONLY = None

    def setUp(self):
        self.folder = Folder(self.PROGRAM)
        self.addCleanup(self.folder.remove)
        self.program, self.socket = self.folder.program, self.folder.path / "vm.sock"

    def run_program(self, *arguments, before=()):
        return subprocess.run(
            [str(word) for word in (*before, self.program, *arguments)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, timeout=scaled(30))

    def serve(self, *arguments, path=None, **popen):
        """A daemon that listens on self.socket, or on path."""
        path = path or self.socket
        return Daemon(self.program, f"--socket-path={path}", *arguments, **popen).wait_listening(path)


def main():
    """The program's path is the last argument."""
    DaemonTest.PROGRAM = pathlib.Path(sys.argv.pop()).resolve()
    DaemonTest.ABOUT = {a.name: a for a in (GPU, SOUND, VIDEO)}[DaemonTest.PROGRAM.name]
    cases = vars(sys.modules["__main__"])
    for name in [n for n, case in cases.items() if getattr(case, "ONLY", None)]:
        if cases[name].ONLY is not DaemonTest.ABOUT:
            del cases[name]
    os.environ["PIPEWIRE_REMOTE"] = "/nowhere/pipewire-0"  # the user's own is left alone
    unittest.main(verbosity=2)
