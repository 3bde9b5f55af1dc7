# SPDX-License-Identifier: MIT
"""A guest that draws with OpenGL, in a window of QEMU's on an X server of the test's: the window goes on
while a cube turns, and shows what is on the guest's screen, pixel by pixel."""

import pathlib
import shutil
import sys

import machine
from machine import PCI, SIZE, GuestTest, Machine, blocks, picture, testbed, wait_until

sys.path.insert(0, str(machine.ROOT / "tests" / "bench"))
SCREEN = SIZE[0] + 200, SIZE[1] + 200  # the X server's
PICTURES = 20
GREY, CUBE_COLOURS = b"\x80\x80\x80", 1000


def what_is_missing():
    """Why it cannot be run; None: it can."""
    if not (pathlib.Path(testbed("path", "qemu-gui")) / "stamp").exists():
        return "there is no tree qemu-gui; demos/testbed make qemu-gui makes it"
    if not shutil.which("Xvfb"):
        return "there is no Xvfb (Debian's package xvfb)"
    try:
        import Xlib  # noqa: F401
    except ImportError:
        return "there is no Xlib for Python (Debian's package python3-xlib)"
    return None


def find(part, whole):
    """Whether a picture has another one in it, as it is: where its most colourful row is."""
    row, stride = part.width * 3, whole.width * 3
    rows = [part.rgb[y * row:y * row + row] for y in range(part.height)]
    key = max(range(part.height), key=lambda y: len(set(rows[y])))
    first = whole.rgb.find(rows[key]) - key * stride
    return first >= 0 and all(
        whole.rgb[first + y * stride:first + y * stride + row] == rows[y] for y in range(part.height))


class Window(GuestTest):
    @classmethod
    def setUpClass(cls):
        from xserver import XServer
        cls.x = XServer(*SCREEN)
        cls.enterClassContext(cls.x)
        cls.m = Machine("window", PCI, options=["--virgl"])
        cls.m.vm.display, cls.m.vm.tree = "gtk,gl=on", "qemu-gui"
        cls.m.start()
        cls.addClassCleanup(cls.m.stop)
        cls.m.vm.wait_boot()

    def tearDown(self):
        """GTK has its own words, of icons and of the X server."""
        self.m.gpu.must_live("a test ran")
        self.assertEqual((self.m.logs / "daemon.log").read_text(), "")

    def size(self):
        """QEMU has told the guest how large the window is."""
        return [int(n) for n in self.guest("cat /sys/class/graphics/fb0/virtual_size").split(",")]

    def look(self):
        """All of the X server's screen."""
        pixels, rgb = self.x.grab(), bytearray(SCREEN[0] * SCREEN[1] * 3)
        for c in range(3):
            rgb[c::3] = pixels[2 - c::4]
        return picture.Picture(*SCREEN, rgb)

    def is_new(self, seen):
        """Whether there is a picture that has not been seen; then it has."""
        known = len(seen)
        seen.add(self.look().rgb)
        return len(seen) > known

    def test_goes_on(self):
        shot = blocks("before", *self.size())
        self.m.draw(shot)
        wait_until(lambda: find(shot, self.look()), 30, "the console in the window")
        group = self.m.vm.spawn("exec /virga/draw-cube", log="/run/cube.log")
        wait_until(lambda: "Rendered" in self.guest("cat /run/cube.log"), 120, "frames of kmscube")
        self.assertIn('"virgl', self.guest("grep renderer: /run/cube.log"))
        seen = {self.look().rgb}
        for _ in range(PICTURES):
            wait_until(lambda: self.is_new(seen), 20, "another picture in the window")
        self.m.vm.qmp("stop")
        screen = self.m.vm.screen()
        self.assertEqual(screen.rgb[:3], GREY)
        self.assertGreater(len(screen.colours()), CUBE_COLOURS)
        wait_until(lambda: find(screen, self.look()), 20, "the cube in the window")
        self.m.vm.qmp("cont")
        self.m.vm.end(group)


del GuestTest  # it has no machine

if __name__ == "__main__":
    if missing := what_is_missing():
        print(f"skipped: {missing}")
        sys.exit(77)
    machine.main()
