# SPDX-License-Identifier: MIT
"""Blobs from the guest's side: its own, which are shown where they lie, and those of a renderer, which it sees
in a window."""

import re
import shutil
import unittest

import machine
from machine import BUILD, GENERIC, SIZE, GuestTest, blocks

OUTPUTS = "--outputs=%dx%d" % SIZE
STAND_IN, PROGRAM = BUILD / "tests/device/virga-gpu-stand-in", BUILD / "tests/guest/blob"
GFXSTREAM = BUILD / "tests/device/libgfxstream-stand-in.so"


class Blobs(GuestTest):
    def features(self):
        return " ".join(re.findall(r"\[drm\] features: (.*)", self.guest("dmesg"))).split()

    def see_console(self, seed):
        shot = blocks(seed)
        self.m.draw(shot)
        self.m.await_picture(shot, self.m.frame)


class OwnBlobs(Blobs):
    """Without a renderer Linux makes its frame buffers as blobs."""

    @classmethod
    def setUpClass(cls):
        cls.boot(GENERIC, png=True, options=["--seccomp=kill", OUTPUTS])

    def test_console(self):
        self.assertIn("+resource_blob", self.features())
        self.assertIn("-host_visible", self.features())
        for seed in "one", "two", "three":
            self.see_console(seed)
        self.m.vm.reset()
        self.see_console("after a reset")


class Window(Blobs):
    @classmethod
    def setUpClass(cls):
        cls.boot(GENERIC, daemon=[str(STAND_IN)], png=True, options=["--hostmem=64M", f"--gfxstream={GFXSTREAM}", OUTPUTS])
        shutil.copy(PROGRAM, cls.m.share)

    def look(self, count, capset=2):
        return self.guest(f"/share/blob {count} {capset}").split()

    def test_window(self):
        words = self.guest("dmesg")
        for feature in "+resource_blob", "+host_visible", "+context_init":
            self.assertIn(feature, self.features())
        self.assertRegex(words, r"Host memory window: 0x[0-9a-f]+ \+0x4000000")
        for count in 1, 20, 20:  # what a process leaves behind is unmapped
            self.assertEqual(len(self.look(count)), count)
        self.assertEqual(self.guest("dmesg | grep 'drm.*ERROR' || true"), "")

    def test_gfxstream(self):
        """Another renderer beside it, whose contexts are those of its capability set."""
        self.assertRegex(self.guest("dmesg"), r"cap set 1: id 3\b")
        for _ in range(2):
            self.assertEqual(len(self.look(20, capset=3)), 20)
            self.assertEqual(len(self.look(20)), 20)
        self.assertEqual(self.guest("dmesg | grep 'drm.*ERROR' || true"), "")

    def test_reset(self):
        """With blobs mapped: QEMU forgets them, and the window is as new."""
        before = self.m.gpu.descriptors()
        for _ in range(2):
            self.m.vm.spawn("/share/blob 30; sleep 1000")
            self.m.vm.reset()
            self.assertEqual(len(self.look(30)), 30)
        machine.wait_until(lambda: self.m.gpu.descriptors() == before, 30, f"{before} descriptors")


del GuestTest, Blobs  # they have no machine

if __name__ == "__main__":
    machine.main()
