# SPDX-License-Identifier: MIT
"""Draws with Vulkan in a guest of virga-gpu and looks at each frame: see demos/run."""

import argparse
import os
import pathlib
import re
import sys
import tempfile

import demo
import drawer
import picture
import vulkan
from daemon import Daemon
from demo import Demo, say
from vm import Vm, VmError

FRAMES = 500
ABOUT = re.compile(r"^\s*(deviceName|driverName|driverInfo|apiVersion)\s*= (.*?)(?: \(\d+\))?$", re.M)
COUNTED = re.compile(r"^(\d+) frames, (\d+) bad, ([\d.]+) frames/s$", re.M)


class VulkanDemo(Demo):
    def __init__(self, options):
        super().__init__(options)
        self.way, self.driver = ("gfxstream", "gfxstream_vk") if options.gfxstream else ("venus", "virtio")

    def make_daemons(self):
        options = [f"--gfxstream={self.options.gfxstream}" if self.options.gfxstream else "--venus"]
        options += [f"--render-node={self.options.render_node}"] if self.options.render_node else []
        return [Daemon([*vulkan.DAEMON, "--one-off", "--hostmem=256M", *options], self.out)]

    def machine(self):
        return Vm(self.out, self.daemons[0].qemu_arguments(drawer.DEVICE) + vulkan.arguments(),
                  share=self.options.share or self.folder, daemons=self.daemons)

    def run(self):
        with tempfile.TemporaryDirectory(prefix="virga.") as self.folder:
            return super().run()

    def check_driver(self):
        vulkan.install(self.vm)  # whose own driver is asked by vulkaninfo

    def run_command(self):
        self.options.command = ["sh", "-c", vulkan.command(self.driver, 'exec "$@"'), "-", *self.options.command]
        return super().run_command()

    def after_command(self):
        pass

    def ask(self, words, timeout):
        """What a program says that draws; how it went when it fails."""
        said = self.vm.run(vulkan.command(self.driver, words), timeout)
        if said.status:
            raise VmError(f"In the guest, {words.split()[0]} ended with {said.status}: "
                          + "; ".join((said.err or said.out).strip().splitlines()[-3:])
                          + f"\nWhat virga-gpu said of it is in {os.path.relpath(self.out)}/daemon.log.")
        return said.out

    def show_all(self):
        say("the guest asks who draws (vulkaninfo)")
        about = dict(reversed(ABOUT.findall(self.ask("vulkaninfo --summary", 120))))
        say(f"the guest draws {FRAMES} frames, copies each back and looks at its pixels")
        said = self.ask(f"{vulkan.TRIANGLE} {FRAMES} picture.ppm", 300)
        left = pathlib.Path(self.options.share or self.folder) / "picture.ppm"
        path = self.out / f"vulkan-{self.way}.png"
        picture.read(left).write_png(path)
        left.unlink()
        frames, bad, rate = COUNTED.search(said).groups()
        self.rows = [("drawn by", self.options.gfxstream or "virglrenderer's Venus"), ("device", about["deviceName"]),
                     ("driver", f"{about['driverName']}, {about['driverInfo']}"), ("Vulkan", about["apiVersion"]),
                     ("frames drawn and looked at", frames), ("of these bad", bad), ("frames/s", rate),
                     ("picture", os.path.relpath(path))]
        print("\n" + "\n".join(f"{name:27} {value}" for name, value in self.rows) + "\n", flush=True)


def parse(arguments):
    parser = argparse.ArgumentParser(description="The part of demos/run that draws with Vulkan.")
    demo.add_options(parser)
    parser.add_argument("--vulkan", action="store_true")
    parser.add_argument("--gfxstream")
    parser.add_argument("--render-node")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(demo.main(VulkanDemo, parse(sys.argv[1:])))
