# SPDX-License-Identifier: MIT
"""A guest that draws with Vulkan, by gfxstream's library, which VIRGA_GFXSTREAM names. All else is as with Venus."""

import os
import signal

import machine
import test_venus
from test_virgl import children

LIBRARY = os.environ.get("VIRGA_GFXSTREAM")


class Gfxstream(test_venus.VulkanTest):
    driver, name = "gfxstream_vk", "llvmpipe (LLVM"
    of_a_kill = "part warn: gfxstream died", "part warn: gfxstream ended"

    @classmethod
    def setUpClass(cls):
        cls.boot_with(f"--gfxstream={LIBRARY}")

    def test_info(self):
        self.assertRegex(self.info(), "deviceType += PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU")

    def test_draws(self):
        self.many_and_again()

    def test_killed(self):
        """It ends itself when a guest is newer than it; so here by its own signal."""
        self.draws()
        nursery, = children(self.m.gpu.process.pid, "nursery")
        part, = children(nursery, "gfxstream")
        os.kill(part, signal.SIGABRT)
        machine.wait_until(lambda: children(nursery, "gfxstream") not in ([], [part]), 20, "another part")
        self.draws()


if __name__ == "__main__":
    test_venus.main(*[] if LIBRARY else ["VIRGA_GFXSTREAM does not say where gfxstream's library is"])
