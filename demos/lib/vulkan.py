# SPDX-License-Identifier: MIT
"""Vulkan in a guest whose own tree has none: drivers and programs are those of the test bed's tree build13, which the
guest sees where it lies on the host. The daemon is of that tree, too (meson's folder build13)."""

import pathlib
import subprocess

from vm import DEMOS, TESTBED, VmError, share, testbed

BUILD = DEMOS.parent / "build13"
ROOT = pathlib.Path(testbed("path", "build13")) / "root"
DAEMON = [TESTBED, "build13", str(BUILD / "gpu/virga-gpu")]
TRIANGLE = "/build/demos/triangle"


def exists():
    """Is there all that build() and a guest need?"""
    return (ROOT.parent / "stamp").exists() and (BUILD / "build.ninja").exists()


def build(*more):
    """The daemon and the program that draws, as they are now, and what else is named."""
    done = subprocess.run([TESTBED, "build13", "ninja", "-C", BUILD, "gpu/virga-gpu", "demos/triangle", *more],
                          stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise VmError(f"{BUILD} cannot be built:\n{done.stdout[-2000:]}")


def arguments():
    """QEMU's, for a guest that is to have Vulkan."""
    return share("tree", ROOT, True) + share("build", BUILD, True)


def mount(tag, path):
    return f"mkdir -p {path} && mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=512000,cache=loose {tag} {path}"


def install(vm):
    """In the guest, once a boot."""
    vm.check(mount("tree", ROOT))
    vm.check(mount("build", "/build"))


def command(driver, words):
    """A program of the tree, or TRIANGLE, by a driver: virtio (Venus) or gfxstream_vk."""
    return f"VK_DRIVER_FILES={ROOT}/usr/share/vulkan/icd.d/{driver}_icd.json PATH={ROOT}/usr/bin:$PATH {words}"
