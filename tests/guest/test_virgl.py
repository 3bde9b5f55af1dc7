# SPDX-License-Identifier: MIT
"""A guest that draws with OpenGL: who draws, what is seen, and what remains when the renderer is killed."""

import os
import pathlib
import re
import signal
import statistics
import time

import machine
from machine import GENERIC, PCI, SIZE, GuestTest, blocks, wait_until

KILLS = int(os.environ.get("VIRGA_KILLS", 5))
MEMORY_KIB = 4096  # more than this is a leak
OUTPUTS = "--outputs=%dx%d" % SIZE
RENDERER = re.compile(r'^ *renderer: +"(.*)"', re.M)
# What the daemon says of each kill, which is right so.
OF_A_KILL = ("part warn: virgl died", "part warn: virgl ended by signal 9")
GREY = b"\x80\x80\x80"


def stat_of(path):
    """A process's name, and what follows it in its stat: its state, its parent and so on."""
    words = path.read_text()
    name, rest = words[words.index("(") + 1:].rsplit(")", 1)
    return name, rest.split()


def children(pid, name):
    """The processes of this name that this one has started."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            is_called, rest = stat_of(path)
        except OSError:
            continue
        if is_called == name and int(rest[1]) == pid and rest[0] != "Z":
            found.append(int(path.parent.name))
    return found


def begun(pid):
    """When a process was started, in seconds of CLOCK_BOOTTIME."""
    ticks = int(stat_of(pathlib.Path(f"/proc/{pid}/stat"))[1][19])
    return ticks / os.sysconf("SC_CLK_TCK")


class Virgl(GuestTest):
    def tearDown(self):
        self.m.gpu.must_live("a test ran")
        self.assertEqual([line for line in self.m.words() if not line.startswith(OF_A_KILL)], [])

    def look(self):
        return self.m.vm.screen()

    def spin(self):
        """kmscube turns its cube; returns its process group when it has made some frames."""
        group = self.m.vm.spawn("exec /virga/draw-cube", log="/run/cube.log")
        wait_until(lambda: "Rendered" in self.guest("cat /run/cube.log"), 120, "frames of kmscube")
        return group

    def see_cube(self):
        """The cube before its grey ground, and another picture soon after."""
        shot = self.look()
        self.assertEqual(shot.rgb[:3], GREY)
        self.assertGreater(len(set(shot.rgb[i:i + 3] for i in range(0, len(shot.rgb), 3))), 1000)
        wait_until(lambda: self.look().rgb != shot.rgb, 20, "another picture of the cube")

    def test_feature(self):
        words = self.guest("dmesg")
        self.assertIn("+virgl", " ".join(re.findall(r"\[drm\] features: (.*)", words)).split())
        self.assertEqual(re.findall(r"number of cap sets: (\d+)", words), ["2"])
        self.assertEqual(re.findall(r".*\[drm.*ERROR.*|.*timed out waiting.*", words), [])

    def test_cube(self):
        group = self.spin()
        self.see_cube()
        renderer = RENDERER.search(self.guest("cat /run/cube.log")).group(1)
        self.assertIn("virgl", renderer)
        self.assertIn("LLVMPIPE", renderer.upper())
        self.m.vm.end(group)
        self.see_console("after the cube")

    def see_console(self, seed):
        shot = blocks(seed)
        self.m.draw(shot)
        self.m.await_picture(shot, self.look)

    def nursery(self):
        nursery, = children(self.m.gpu.process.pid, "nursery")
        return nursery

    def renderer(self):
        return children(self.nursery(), "virgl")

    def holds(self):
        """Descriptors and KiB of the daemon and the nursery."""
        nursery = pathlib.Path(f"/proc/{self.nursery()}")
        rss = re.search(r"RssAnon:\s+(\d+)", (nursery / "status").read_text())
        return (self.m.gpu.descriptors(), self.m.memory_kib(),
                len(list((nursery / "fd").iterdir())), int(rss.group(1)))


class OnQemu(Virgl):
    @classmethod
    def setUpClass(cls):
        cls.boot(PCI, options=["--virgl"])

    def test_killed(self):
        """Under kmscube: there is a new renderer by the time that the console shows one more picture, a new
        kmscube draws with it, and nothing is left behind."""
        waited = []
        for number in range(KILLS):
            if number == 1:
                before = self.holds()
            group = self.spin()
            self.see_cube()
            victim, = self.renderer()
            killed = time.clock_gettime(time.CLOCK_BOOTTIME)
            os.kill(victim, signal.SIGKILL)
            self.m.vm.end(group)
            self.see_console(f"after kill {number}")
            renderer, = self.renderer()
            self.assertNotEqual(renderer, victim)
            waited.append(begun(renderer) - killed)
        after = self.holds()
        print(f"{KILLS} kills: started after {statistics.median(waited):.2f} s, at most {max(waited):.2f} s;",
              f"descriptors and KiB of the daemon and the nursery: {before}, then {after}")
        self.assertEqual(before[0::2], after[0::2])
        self.assertLess(after[1] - before[1], MEMORY_KIB)
        self.assertLess(after[3] - before[3], MEMORY_KIB)

    def test_paused(self):
        """And reset while it draws."""
        self.guest("dmesg -C")  # it may tell of kills
        self.spin()
        for _ in range(5):
            self.see_cube()
            self.m.vm.qmp("stop")
            time.sleep(0.3)
            self.m.vm.qmp("cont")
        self.see_cube()
        self.assertEqual(self.guest("dmesg | grep 'drm.*ERROR' || true"), "")
        self.m.vm.reset()
        self.m.vm.end(self.spin())
        self.see_console("after the reset")


class OnGeneric(Virgl):
    @classmethod
    def setUpClass(cls):
        cls.boot(GENERIC, png=True, options=["--virgl", "--seccomp=kill", OUTPUTS])

    def look(self):
        return self.m.frame()


del GuestTest, Virgl  # they have no machine

if __name__ == "__main__":
    machine.main()
