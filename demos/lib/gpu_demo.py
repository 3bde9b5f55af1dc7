# SPDX-License-Identifier: MIT
"""Draws on virga-gpu from a guest and looks at the pictures: see demos/run."""

import argparse
import contextlib
import os
import pathlib
import re
import sys
import time

import demo
import drawer
import picture
from daemon import Daemon
from demo import Demo, say
from drawer import Drawer, drawn_by_qemu
from vm import Vm, VmError

SIZE = (1280, 800)
GLMARK2_SCENES, GLMARK2_SECONDS = ("build", "texture", "shading"), 2
GLMARK2_RATE = re.compile(r"^\[(\w+)\].* FPS: (\d+)", re.M)


class GpuDemo(Demo):
    # -- the parts

    def make_daemons(self):
        display = "qemu"
        if self.options.headless:
            self.frames = self.out / "frames"
            self.frames.mkdir(exist_ok=True)
            for old in self.frames.glob("scanout*-*.png"):
                old.unlink()
            display = f"png:{self.frames}"
        command = [self.options.daemon, "--one-off", f"--display={display}"]
        command += [] if self.options.only_2d else ["--virgl"]
        command += [] if self.options.headless else ["--log=display:dbg"]  # see shown()
        if self.options.render_node:
            command += [f"--render-node={self.options.render_node}", "--log=gpu:info"]
            command += [] if self.options.window else ["--scanout=shm"]  # there are pixels to look at
        return [Daemon(command + [f"--outputs={SIZE[0]}x{SIZE[1]}"], self.out)]

    def machine(self):
        device = drawer.DEVICE
        if not self.options.headless:
            device = f"vhost-user-gpu-pci,xres={SIZE[0]},yres={SIZE[1]}"
        display = "gtk,gl=on" if self.options.window else "none"
        vm = Vm(
            self.out, self.daemons[0].qemu_arguments(device), share=self.options.share,
            display=display, image=self.options.image, daemons=self.daemons,
            tree="qemu-gui" if self.options.window else "qemu",
        )
        self.drawer = Drawer(vm, self.out, self.look, self.shown)
        return vm

    def check_driver(self):
        self.drawer.check_driver()

    def run_guest(self):
        return self.show_image() if self.options.image else super().run_guest()

    def look(self):
        """What is on the first screen: of QEMU, or in the daemon's newest PNG
        that is whole. None where there is nothing yet."""
        if not self.options.headless:
            return self.vm.screen()
        for path in sorted(self.frames.glob("scanout0-*.png"), reverse=True)[:3]:
            with contextlib.suppress(picture.PictureError, OSError):
                return picture.read(path)
        return None

    # -- drawing

    def draw_console(self):
        say("the guest writes on its text console")
        self.vm.check("/virga/draw-console")
        time.sleep(0.5)
        self.console = self.drawer.await_picture("console", None)
        self.rows.append(("text console", "", self.drawer.save(self.console, "console")))

    def draw_pattern(self):
        say("the guest shows modetest's pattern")
        group = self.vm.spawn("exec /virga/draw-pattern", log="/run/pattern.log")
        self.pattern = self.drawer.await_picture("pattern", self.console)
        self.rows.append(("test pattern", "", self.drawer.save(self.pattern, "pattern")))
        self.vm.end(group)

    def draw_cube(self):
        say("the guest turns a cube (starting its software renderer takes a while)"
            if self.options.only_2d else "the guest turns a cube")
        group = self.drawer.turn_cube()
        drawn, shown = self.drawer.rates_of_cube()
        self.renderer = self.drawer.renderer(virgl=not self.options.only_2d)
        first = self.drawer.await_picture("cube", self.pattern)
        second = self.drawer.await_picture("second cube", first)
        fps = f"{drawn:.1f} drawn, {shown:.1f} shown"
        self.rows.append(("cube", fps, self.drawer.save(first, "cube-1")))
        self.rows.append(("cube, later", "", self.drawer.save(second, "cube-2")))
        self.vm.end(group)

    def shown(self):
        """How many frames have reached the display: as files, or drawn by QEMU."""
        if self.options.headless:
            return len(self.daemons[0].frames)
        return drawn_by_qemu(self.daemons[0])

    def run_glmark2(self):
        say("the guest runs glmark2 off screen")
        library = pathlib.Path(self.options.daemon).parent.parent / "demos/libpreferred-mode.so"
        preload = self.vm.lend(library)
        scenes = " ".join(f"-b {scene}:duration={GLMARK2_SECONDS}" for scene in GLMARK2_SCENES)
        said = self.vm.check(f"LD_PRELOAD={preload} glmark2-es2-drm --off-screen "
                             f"-s 640x480 {scenes} </dev/null 2>&1", timeout=180)
        for scene, fps in GLMARK2_RATE.findall(said):
            self.rows.append((f"glmark2 {scene}", f"{fps} drawn", "(off screen)"))

    def show_all(self):
        self.draw_console()
        self.draw_pattern()
        self.draw_cube()
        if not self.options.only_2d:
            self.run_glmark2()
        self.table()

    def table(self):
        print(f"\n{'drawn in the guest':20} {'frames/s':24} picture")
        for what, fps, path in self.rows:
            print(f"{what:20} {fps:24} {os.path.relpath(path)}")
        print(f"\nGL_RENDERER: {self.renderer}")
        if self.options.render_node:
            print("Frames went to QEMU " + self.way_of_frames())
        print(flush=True)

    def way_of_frames(self):
        words = (self.out / "daemon.log").read_text(errors="replace")
        as_they_lay = [line for line in words.splitlines() if " as it lies, in " in line]
        return "as dmabufs: " + as_they_lay[-1] if as_they_lay else "as pixels, read back"

    # -- the other ways to end

    def after_command(self):
        with contextlib.suppress(VmError, picture.PictureError):
            if shot := self.look():
                say(f"the last picture: {os.path.relpath(self.drawer.save(shot, 'last'))}")

    def show_image(self):
        say("the guest's serial console is in " + os.path.relpath(self.vm.console))
        say("QEMU runs until its window is closed or Ctrl-C comes; a picture every 10 s")
        while self.vm.alive():
            time.sleep(10)
            if self.vm.alive():
                self.vm.must_live("the image ran")
            with contextlib.suppress(VmError, picture.PictureError):
                if shot := self.look():
                    self.drawer.save(shot, "image")
        return 0


def parse(arguments):
    parser = argparse.ArgumentParser(description="The drawing part of demos/run.")
    demo.add_options(parser)
    parser.add_argument("--daemon", required=True)
    parser.add_argument("--image")
    parser.add_argument("--render-node")
    parser.add_argument("--2d", action="store_true", dest="only_2d")
    for flag in ("--headless", "--window"):
        parser.add_argument(flag, action="store_true")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(demo.main(GpuDemo, parse(sys.argv[1:])))
