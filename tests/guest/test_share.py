# SPDX-License-Identifier: MIT
"""demos/run as a test job uses it: a command in the guest, its status and its files, the frames, and
a daemon that is killed. Then the demo itself: its pictures, its shell, and a disk to boot."""

import os
import pathlib
import pty
import re
import select
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


# The first sector of a disk, in real mode: it writes its words to the serial port and turns the
# machine off. mov dx,3f8; mov si,7c20; xor ax,ax; mov ds,ax; cld; next: lodsb; test al,al; jz off;
# out dx,al; jmp next; off: mov dx,604; mov ax,2000; out dx,ax; halt: hlt; jmp halt
BOOT_SECTOR = bytes.fromhex("baf803be207c31c08ed8fcac84c07403eeebf8ba0406b80020eff4ebfd")
WORDS = b"words from the disk"


class Share(unittest.TestCase):
    def setUp(self):
        self.share = machine.fresh_folder(self.id().split(".")[-1])
        self.errors = open(self.share / "run.log", "w+")
        self.addCleanup(self.errors.close)

    def start(self, *arguments, stdin=subprocess.DEVNULL):
        environment = {**os.environ, "BUILD": str(BUILD), "VIRGA_OUT": str(self.share),
                       "COLUMNS": "90", "LINES": "30"}
        command = [ROOT / "demos" / "run", "gpu", f"--share={self.share}", *arguments]
        run = subprocess.Popen(command, env=environment, text=True, stdin=stdin,
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

    def test_pictures_and_shell(self):
        """All that is drawn, then a shell on a terminal."""
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        run = self.start("--keep", stdin=theirs)
        os.close(theirs)
        said = ""
        while "# " not in said.rpartition("cube, later")[2]:
            said += self.more(run)
        for what in ("console", "pattern", "cube-1", "cube-2"):
            self.assertGreater(picture.read(self.share / f"gpu-{what}.png").drawn(), 0.001)
        os.write(ours, b"echo $((6 * 7)) $(stty size) answered; exit\r")
        said, _ = run.communicate(timeout=scaled(60))
        self.assertIn("42 30 90 answered", said)
        self.assertEqual(run.returncode, 0, self.words())

    def more(self, run):
        ready = select.select([run.stdout], [], [], scaled(120))[0]
        text = os.read(run.stdout.fileno(), 4096).decode() if ready else ""
        self.assertTrue(text, self.words())
        return text

    def test_disk(self):
        image = self.share / "disk"
        image.write_bytes((BOOT_SECTOR.ljust(32, b"\0") + WORDS).ljust(510, b"\0") + b"\x55\xaa"
                          + bytes(1 << 20))
        before = image.read_bytes()
        run = self.start("--headless", f"--image={image}")
        self.assertEqual(run.wait(scaled(60)), 0, self.words())
        self.assertIn(WORDS, (self.share / "console.log").read_bytes())
        self.assertEqual(image.read_bytes(), before)


def descendants(pid):
    """The names of the processes that one has started, and of those they started."""
    found = {}
    for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found[int(child)] = pathlib.Path(f"/proc/{child}/comm").read_text().strip()
        found.update(descendants(child))
    return found


if __name__ == "__main__":
    machine.main()
