# SPDX-License-Identifier: MIT
"""A Virga daemon with a guest that uses it, and what a test asks of both.

A test program is run with the paths of virga-gpu and tiny-rng, the folder its logs go to, the build
folder, and perhaps names of tests; it ends with 77 where there is no test bed.
"""

import contextlib
import pathlib
import random
import shutil
import sys
import time
import unittest
import zlib

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "demos" / "lib"))

import drawer  # noqa: E402
import picture  # noqa: E402
from daemon import Daemon  # noqa: E402
from vm import Vm, VmError, scaled, testbed  # noqa: E402

GPU, RNG, LOGS, BUILD = (pathlib.Path(word) for word in (sys.argv[1:5] + [""] * 4)[:4])
SIZE = (1024, 768)
PCI = "vhost-user-gpu-pci,xres=%d,yres=%d" % SIZE
GENERIC = drawer.DEVICE

# Words of QEMU's that say nothing about us. There are none so far: any line fails a test.
HARMLESS = ()


def main():
    if not (pathlib.Path(testbed("path", "guest")) / "initrd.stamp").exists():
        print("skipped: there is no test bed; demos/testbed make makes it")
        sys.exit(77)
    program = unittest.main(argv=[sys.argv[0], *sys.argv[5:]], verbosity=2, exit=False)
    if not program.result.wasSuccessful():
        print(f"The logs are in {LOGS}", file=sys.stderr)
    sys.exit(not program.result.wasSuccessful())


def fresh_folder(name):
    """An empty folder of that name under the logs."""
    folder = LOGS / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def wait_until(true, seconds, what):
    """Waits until true() is; else fails with words that say what was waited for."""
    deadline = time.monotonic() + scaled(seconds)
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f"{scaled(seconds):.0f} s went by, and still not: {what}")
        time.sleep(0.05)


def blocks(seed, width=SIZE[0], height=SIZE[1], side=16):
    """A picture that no other seed has: blocks of random colours, and noise in its last rows."""
    chance, rows = random.Random(seed), []
    while len(rows) < height - 2:
        row = b"".join(chance.randbytes(3) * side for _ in range(-(-width // side)))
        rows += [row[: width * 3]] * side
    return picture.Picture(width, height,
                           b"".join(rows[: height - 2]) + chance.randbytes(width * 3 * 2))


def crop(shot, width, height):
    """The top left part."""
    rows = (shot.rgb[y * shot.width * 3 :][: width * 3] for y in range(height))
    return picture.Picture(width, height, b"".join(rows))


def framebuffer_bytes(shot):
    """The picture as the guest's frame buffer has it: blue, green, red, nothing."""
    out = bytearray(shot.width * shot.height * 4)
    for c in range(3):
        out[2 - c :: 4] = shot.rgb[c::3]
    return bytes(out)


def crc_of(shot):
    return f"{zlib.crc32(shot.rgb):08x}"


class Machine:
    """The two of them. `png`: the daemon writes its frames to `frames`."""

    def __init__(self, name, device, png=False, options=(), qemu=(), daemon=(str(GPU),)):
        self.logs, self.stack = fresh_folder(name), contextlib.ExitStack()
        self.share, self.frames = self.logs / "share", self.logs / "frames"
        self.share.mkdir()
        command = [*daemon, *options] + [f"--display=png:{self.frames}"] * png
        self.gpu = Daemon(command, self.logs)
        self.vm = Vm(self.logs, share=str(self.share), daemons=[self.gpu])
        self.device, self.qemu = device, list(qemu)

    def start(self):
        with self.stack:
            self.stack.enter_context(self.gpu)
            self.vm.devices = self.gpu.qemu_arguments(self.device) + self.qemu
            self.stack.enter_context(self.vm)
            self.stack = self.stack.pop_all()
        return self

    def stop(self):
        self.stack.close()

    # -- pictures

    def draw(self, shot, row=0):
        """Writes a picture into the guest's frame buffer, from a row on: all at once, as Linux 6.12
        forgets to show what is written row by row, or below the end of the lowest screen."""
        (self.share / "picture.raw").write_bytes(framebuffer_bytes(shot))
        stride = shot.width * 4
        self.vm.check("printf '\\033[?25l' >/dev/tty1; dd if=/share/picture.raw of=/dev/fb0 "
                      f"bs={stride * shot.height} iflag=fullblock "
                      f"seek={row * stride} oflag=seek_bytes status=none")

    def frame(self, scanout=0):
        """The newest frame of a scanout as a file; None before the first."""
        path = max(self.frames.glob(f"scanout{scanout}-*.png"), default=None)
        return path and picture.read(path)

    def await_picture(self, expected, look=None, seconds=30):
        """Waits until the screen (or what look() returns) has exactly these pixels."""
        deadline, look = time.monotonic() + scaled(seconds), look or self.vm.screen
        while True:
            shot = None
            with contextlib.suppress(picture.PictureError):
                shot = look()
            if shot and shot.rgb == expected.rgb and shot.width == expected.width:
                return
            if time.monotonic() > deadline:
                self._complain(expected, shot)
            time.sleep(0.1)

    def _complain(self, expected, shot):
        expected.write_png(self.logs / "expected.png")
        if not shot:
            raise AssertionError(f"no picture; {self.logs}/expected.png should be seen")
        shot.write_png(self.logs / "seen.png")
        raise AssertionError(f"{shot.changed(expected):.1%} of the pixels differ between "
                             f"{self.logs}/expected.png and seen.png")

    def show(self, seed):
        """Draws a picture of its own and sees it, on QEMU's display."""
        shot = blocks(seed)
        self.draw(shot)
        self.await_picture(shot)
        return shot

    # -- the daemon and QEMU

    def words(self):
        """What the daemon and QEMU said that they should not have."""
        logs = [self.logs / "daemon.log", self.logs / "qemu.log"]
        lines = [line for log in logs for line in log.read_text(errors="replace").splitlines()]
        return [line for line in lines if not line.startswith(HARMLESS)]

    def proc(self, name):
        return pathlib.Path(f"/proc/{self.gpu.process.pid}/{name}")

    def memory_kib(self, what="RssAnon:"):
        """What the daemon has of its own: not the guest's memory, which it shares."""
        for line in self.proc("status").read_text().splitlines():
            if line.startswith(what):
                return int(line.split()[1])
        raise AssertionError(f"no {what} in /proc")

    def frames_go_on(self, count=3, seconds=20):
        """So many more frames come."""
        want = len(self.gpu.frames) + count
        wait_until(lambda: len(self.gpu.frames) >= want, seconds, f"{count} more frames")


class GuestTest(unittest.TestCase):
    """Tests that share one machine, `m`. Nobody may complain during any of them."""

    @classmethod
    def boot(cls, *arguments, **options):
        cls.m = Machine(cls.__name__.lower(), *arguments, **options).start()
        cls.addClassCleanup(cls.m.stop)
        cls.m.vm.wait_boot()

    def tearDown(self):
        self.m.gpu.must_live("a test ran")
        self.assertEqual(self.m.words(), [])

    def guest(self, script, timeout=60):
        return self.m.vm.check(script, timeout)
