# SPDX-License-Identifier: MIT
"""demos/run as a test job uses it: a command in the guest, its status and its files, the frames, and
a daemon that is killed."""

import os
import pathlib
import re
import signal
import subprocess
import time
import unittest
import zlib

import machine
from machine import BUILD, ROOT, picture, scaled, wait_until

LINE = re.compile(r"scanout=0 frame=(\d+) size=(\d+)x(\d+) crc=([0-9a-f]{8})")
DRAW = """
echo words >made-in-the-guest; echo to stdout; echo to stderr >&2
sleep 2 | modetest -M virtio_gpu -s $(modetest -M virtio_gpu -c | awk '$3 == "connected" { print $1 }'):#0 -v
exit 7
"""


class Share(unittest.TestCase):
    def setUp(self):
        self.share = machine.fresh_folder(self.id().split(".")[-1])
        self.errors = open(self.share / "run.log", "w+")
        self.addCleanup(self.errors.close)

    def start(self, *arguments):
        environment = {**os.environ, "BUILD": str(BUILD), "VIRGA_OUT": str(self.share)}
        command = [ROOT / "demos" / "run", "gpu", f"--share={self.share}", *arguments]
        run = subprocess.Popen(command, env=environment, text=True, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=self.errors)
        self.addCleanup(self.end, run)
        return run

    def end(self, run):
        run.kill()
        run.wait()
        run.stdout.close()

    def words(self):
        self.errors.seek(0)
        return self.errors.read()

    def test_command(self):
        run = self.start("--headless", "--", "sh", "-c", DRAW)
        out = run.communicate(timeout=scaled(180))[0]
        self.assertEqual(run.returncode, 7, self.words())
        self.assertTrue(out.startswith("to stdout\n"), out)
        self.assertIn("to stderr\n", self.words())
        self.assertEqual((self.share / "made-in-the-guest").read_text(), "words\n")
        self.check_frames()
        self.assertEqual((self.share / "qemu.log").read_text(), "")
        self.assertEqual((self.share / "daemon.log").read_text(), "")

    def check_frames(self):
        """A file for each line, and the pixels of the last ones have the CRC that is said there."""
        lines = [LINE.fullmatch(l) for l in (self.share / "frames.txt").read_text().splitlines()]
        self.assertGreaterEqual(len(lines), 3)
        files = sorted((self.share / "frames").glob("scanout0-*.png"))
        self.assertEqual([int(line[1]) for line in lines], list(range(1, len(files) + 1)))
        for line, file in list(zip(lines, files))[-3:]:
            shot = picture.read(file)
            self.assertEqual((str(shot), f"{zlib.crc32(shot.rgb):08x}"),
                             (f"{line[2]}x{line[3]}", line[4]))
        last = picture.read(self.share / "gpu-last.png")
        self.assertIn(f"{zlib.crc32(last.rgb):08x}", [line[4] for line in lines])

    def kill_the_daemon(self, *arguments):
        """Kills it while a command runs: one line says so, soon, and nothing of ours is left."""
        run = self.start(*arguments, "--", "sh", "-c", "echo begun; sleep 600")
        self.assertEqual(run.stdout.readline(), "begun\n", self.words())
        family = descendants(run.pid)
        os.kill(next(pid for pid, name in family.items() if name == "virga-gpu"), signal.SIGKILL)
        begin = time.monotonic()
        self.assertEqual(run.wait(scaled(60)), 1, self.words())
        self.assertLess(time.monotonic() - begin, scaled(20))
        about = [line for line in self.words().splitlines() if "ended with -9" in line]
        self.assertEqual(len(about), 1, self.words())
        self.assertRegex(about[0], r"^run: .*/virga-gpu ended with -9 while ")
        wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in family), 10,
                   f"the end of {family}")

    def test_daemon_killed(self):
        self.kill_the_daemon("--headless")

    def test_daemon_killed_behind_display(self):
        """QEMU prints errors without end then; that is cut off."""
        self.kill_the_daemon()
        self.assertLess((self.share / "qemu.log").stat().st_size, 2 << 20)


def descendants(pid):
    """The names of the processes that one has started, and of those they started."""
    found = {}
    for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found[int(child)] = pathlib.Path(f"/proc/{child}/comm").read_text().strip()
        found.update(descendants(child))
    return found


if __name__ == "__main__":
    machine.main()
