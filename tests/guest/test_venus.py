# SPDX-License-Identifier: MIT
"""A guest that draws with Vulkan, by Venus. The daemon, the guest's driver and what uses it are those of the test
bed's tree build13."""

import os
import pathlib
import signal
import sys

import machine
import vulkan
from machine import GENERIC, SIZE, GuestTest
from test_gpu import ENVIRONMENT
from test_virgl import children

FRAMES = int(os.environ.get("VIRGA_VULKAN_FRAMES", 500))


class VulkanTest(GuestTest):
    """A guest that draws by `driver`, which calls itself `name`. `of_a_kill`: what the daemon says when what
    draws is killed, which is right so."""

    def tearDown(self):
        self.m.gpu.must_live("a test ran")
        self.assertEqual([line for line in self.m.words() if not line.startswith(self.of_a_kill)], [])

    @classmethod
    def boot_with(cls, *options):
        vulkan.build("tests/shim/draw")
        cls.boot(GENERIC, daemon=vulkan.DAEMON, qemu=vulkan.arguments(),
                 options=["--hostmem=256M", "--outputs=%dx%d" % SIZE, *options])
        vulkan.install(cls.m.vm)

    def vulkan(self, words):
        return self.guest(vulkan.command(self.driver, words), 120)

    def draws(self, frames=50):
        words = self.vulkan(f"{vulkan.TRIANGLE} {frames}")
        self.assertIn(self.name, words)
        self.assertIn(f"\n{frames} frames, 0 bad, ", words)

    def info(self):
        words = self.guest("dmesg")
        for feature in "+virgl", "+resource_blob", "+host_visible", "+context_init":
            self.assertIn(feature, words)
        return self.vulkan("vulkaninfo")

    def many_and_again(self):
        """Time and again, and after a reset: what was open is closed. (One while blobs are mapped ends QEMU 11.1.)"""
        self.draws(FRAMES)
        fds = self.m.gpu.descriptors()
        self.draws()
        self.assertEqual(self.m.gpu.descriptors(), fds)
        self.m.vm.reset()
        vulkan.install(self.m.vm)
        self.draws()
        self.assertEqual(self.m.gpu.descriptors(), fds)


class Venus(VulkanTest):
    driver, name = "virtio", "Virtio-GPU Venus (llvmpipe"
    of_a_kill = "virgl err: virgl_render_server has ended", "part warn: virgl died", "part warn: virgl ended"

    @classmethod
    def setUpClass(cls):
        cls.boot_with("--venus")

    def test_info(self):
        self.assertRegex(self.info(), "driverName += venus")

    def test_draws(self):
        self.many_and_again()

    def test_zink(self):
        """OpenGL by Vulkan. Zink takes lavapipe, a processor, only where none but a processor is asked for."""
        words = self.vulkan(f"{ENVIRONMENT} MESA_LOADER_DRIVER_OVERRIDE=zink LIBGL_ALWAYS_SOFTWARE=true "
                            "/build/tests/shim/draw zink")
        self.assertIn("zink Vulkan 1.2(Virtio-GPU Venus", words)
        self.assertIn("pictures, 0 wrong pixels", words)

    def test_killed(self):
        """The program that draws: whoever wants Vulkan next finds it gone, and then a new one."""
        self.draws()
        nursery, = children(self.m.gpu.process.pid, "nursery")
        part, = children(nursery, "virgl")
        server, = children(part, "virgl_render_se")
        limits = pathlib.Path(f"/proc/{server}/limits").read_text()
        self.assertIn("Max data size             2147483648           2147483648", limits)  # 1 GiB and 2 --max-hostmem
        os.kill(server, signal.SIGKILL)
        self.assertNotEqual(self.m.vm.run(vulkan.command(self.driver, vulkan.TRIANGLE), 120).status, 0)
        machine.wait_until(lambda: children(nursery, "virgl") not in ([], [part]), 20, "another part")
        self.draws()


del GuestTest  # it has no machine


def main(*missing):
    """Skips where something is missing, which is said."""
    if not vulkan.exists():
        missing += ("there is no tree build13 with a folder build13 to build in; docs/testing.md tells how to make both",)
    if missing:
        print("skipped: " + missing[0])
        sys.exit(77)
    machine.main()


if __name__ == "__main__":
    main()
