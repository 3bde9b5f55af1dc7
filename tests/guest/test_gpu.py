# SPDX-License-Identifier: MIT
"""virga-gpu inside of a guest, whose kernel has dmabufs of plain memory and whose Mesa draws into them: a
display there is given what was drawn as it lies. Everything in the guest is of the test bed's tree build13."""

import os
import pathlib

import machine
from machine import BUILD, PCI, GuestTest, testbed
from vm import share
from vulkan import mount

ROOT = pathlib.Path(testbed("path", "build13")) / "root"
LIBRARIES = ROOT / "usr/lib/x86_64-linux-gnu"
ENVIRONMENT = (f"__EGL_VENDOR_LIBRARY_DIRS={ROOT}/usr/share/glvnd/egl_vendor.d "
               f"LIBGL_DRIVERS_PATH={LIBRARIES}/dri GBM_BACKENDS_PATH={LIBRARIES}/gbm")
SLOW = 8  # Mesa, loaded through 9p and emulated


class Dmabufs(GuestTest):
    @classmethod
    def setUpClass(cls):
        cls.boot(PCI, qemu=[*share("tree", ROOT, True), *share("build", BUILD, True)])

    def test_as_it_lies(self):
        self.guest(mount("tree", ROOT))
        self.guest(mount("build", "/build"))
        said = self.guest(f"cd /root; {ENVIRONMENT} VIRGA_TIMEOUT_SCALE={SLOW} "
                          "/build/tests/device/device_gpu /build/gpu/virga-gpu 2>&1", 600)
        self.assertIn("[  PASSED  ] 5 test(s).", said)


del GuestTest  # it has no machine

if __name__ == "__main__":
    if not os.path.exists(ROOT) or str(ROOT).encode() not in pathlib.Path(
            BUILD / "tests/device/device_gpu").read_bytes():
        print("skipped: not built with the tree build13; see tests/run --debian13")
        raise SystemExit(77)
    machine.main()
