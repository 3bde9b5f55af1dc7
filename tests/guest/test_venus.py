# SPDX-License-Identifier: MIT
"""A guest that draws with Vulkan, by Venus. The daemon, the guest's driver and what uses it are those of the test
bed's tree build13; the guest is lent them with all their libraries."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

import machine
from machine import GENERIC, SIZE, GuestTest, fresh_folder, testbed
from test_virgl import children

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
TESTBED, DAEMON = TOP / "demos/testbed", TOP / "build13/gpu/virga-gpu"
BUILD_FILE = TOP / "build13/build.ninja"
ROOT = pathlib.Path(testbed("path", "build13")) / "root"
LIBS = ROOT / "usr/lib/x86_64-linux-gnu"
LOADER, DRIVER = LIBS / "ld-linux-x86-64.so.2", LIBS / "libvulkan_virtio.so"
# What the daemon says when the program that draws is killed, which is right so.
OF_A_KILL = "virgl err: virgl_render_server has ended", "part warn: virgl died", "part warn: virgl ended"
# In the guest.
LENT = "/share/lent"
RUN = f"VK_DRIVER_FILES={LENT}/icd.json {LENT}/{LOADER.name} --library-path {LENT} {LENT}"


def libraries_of(program):
    """The files that the loader would load with it."""
    listing = subprocess.run([LOADER, "--library-path", LIBS, "--list", program],
                             stdout=subprocess.PIPE, check=True, text=True).stdout
    return re.findall(r"=> (/\S+)", listing)


def lend(to):
    to.mkdir()
    fill = to / "fill"
    subprocess.run([TESTBED, "build13", "gcc", "-O1", "-o", fill, TOP / "tests/shim/fill.c", "-lvulkan"], check=True)
    programs = [DRIVER, ROOT / "usr/bin/vulkaninfo", fill]
    for file in {LOADER, *programs[:2], *(lib for program in programs for lib in libraries_of(program))}:
        shutil.copy(file, to)
    (to / "icd.json").write_text('{"file_format_version": "1.0.0", "ICD": {"api_version": "1.3.0", '
                                 f'"library_path": "{LENT}/{DRIVER.name}"}}}}')


def daemon():
    """A program that is the daemon, as it is now, with the tree's Vulkan."""
    subprocess.run([TESTBED, "build13", "ninja", "-C", TOP / "build13", "--quiet", "gpu/virga-gpu"], check=True)
    program = fresh_folder("daemon") / "virga-gpu"
    program.write_text(f'#!/bin/sh\nexec "{TESTBED}" build13 "{DAEMON}" "$@"\n')
    program.chmod(0o755)
    return program


class Venus(GuestTest):
    @classmethod
    def setUpClass(cls):
        cls.boot(GENERIC, daemon=daemon(), options=["--venus", "--hostmem=256M", "--outputs=%dx%d" % SIZE])
        lend(cls.m.share / "lent")

    def tearDown(self):
        self.m.gpu.must_live("a test ran")
        self.assertEqual([line for line in self.m.words() if not line.startswith(OF_A_KILL)], [])

    def draws(self):
        words = self.guest(f"{RUN}/fill", 120)
        self.assertIn("Virtio-GPU Venus (llvmpipe", words)
        self.assertIn("pictures, 0 wrong pixels", words)

    def test_info(self):
        words = self.guest("dmesg")
        for feature in "+virgl", "+resource_blob", "+host_visible", "+context_init":
            self.assertIn(feature, words)
        self.assertIn("driverName         = venus", self.guest(f"{RUN}/vulkaninfo --summary", 120))

    def test_draws(self):
        """Time and again, and after a reset while it draws: what was open is closed."""
        self.draws()
        fds = self.m.gpu.descriptors()
        self.draws()
        self.assertEqual(self.m.gpu.descriptors(), fds)
        self.m.vm.spawn(f"while {RUN}/fill; do :; done")
        self.m.vm.reset()
        self.draws()
        self.assertEqual(self.m.gpu.descriptors(), fds)

    def test_killed(self):
        """The program that draws: whoever wants Vulkan next finds it gone, and then a new one."""
        self.draws()
        nursery, = children(self.m.gpu.process.pid, "nursery")
        part, = children(nursery, "virgl")
        server, = children(part, "virgl_render_se")
        os.kill(server, signal.SIGKILL)
        self.assertNotEqual(self.m.vm.run(f"{RUN}/fill", 120).status, 0)
        machine.wait_until(lambda: children(nursery, "virgl") not in ([], [part]), 20, "another part")
        self.draws()


del GuestTest  # it has no machine

if __name__ == "__main__":
    if not DRIVER.exists() or not BUILD_FILE.exists():
        print("skipped: there is no tree build13 with a folder build13 to build in; docs/testing.md tells how to make both")
        sys.exit(77)
    machine.main()
