# SPDX-License-Identifier: MIT
"""A guest that draws with Vulkan, by Venus. Its driver, and what uses it, are those of the tree build13: they are
lent to it with all their libraries."""

import pathlib
import re
import shutil
import subprocess
import sys

import machine
from machine import BUILD, GENERIC, SIZE, GuestTest, testbed

ROOT = pathlib.Path(testbed("path", "build13")) / "root"
LIBS = ROOT / "usr/lib/x86_64-linux-gnu"
LOADER = LIBS / "ld-linux-x86-64.so.2"
DRIVER = LIBS / "libvulkan_virtio.so"
PROGRAMS = ROOT / "usr/bin/vulkaninfo", BUILD / "tests/shim/clear"
# In the guest.
LENT = "/share/lent"
RUN = f"VK_DRIVER_FILES={LENT}/icd.json {LENT}/{LOADER.name} --library-path {LENT} {LENT}"
FRAMES = 50


def libraries_of(program):
    """The files that the loader would load with it."""
    listing = subprocess.run([LOADER, "--library-path", LIBS, "--list", program],
                             stdout=subprocess.PIPE, check=True, text=True).stdout
    return re.findall(r"=> (/\S+)", listing)


def lend(to):
    to.mkdir()
    for file in {LOADER, DRIVER, *PROGRAMS, *(lib for p in (DRIVER, *PROGRAMS) for lib in libraries_of(p))}:
        shutil.copy(file, to)
    (to / "icd.json").write_text('{"file_format_version": "1.0.0", "ICD": {"api_version": "1.3.0", '
                                 f'"library_path": "{LENT}/{DRIVER.name}"}}}}')


class Venus(GuestTest):
    @classmethod
    def setUpClass(cls):
        cls.boot(GENERIC, options=["--venus", "--hostmem=256M", "--outputs=%dx%d" % SIZE])
        lend(cls.m.share / "lent")

    def draws(self):
        words = self.guest(f"{RUN}/clear Venus {FRAMES}", 120)
        self.assertIn("Virtio-GPU Venus (llvmpipe", words)
        self.assertIn(f"{FRAMES} frames", words)

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
        self.m.vm.spawn(f"{RUN}/clear Venus 1000000")
        self.m.vm.reset()
        self.draws()
        self.assertEqual(self.m.gpu.descriptors(), fds)


del GuestTest  # it has no machine

if __name__ == "__main__":
    if not DRIVER.exists():
        print("skipped: there is no tree build13; demos/testbed make build13 makes it")
        sys.exit(77)
    machine.main()
