# SPDX-License-Identifier: MIT
"""Draws on virga-gpu from a guest and looks at the pictures: see demos/run."""

import argparse
import contextlib
import os
import pathlib
import re
import shlex
import shutil
import signal
import sys
import time

import picture
from daemon import Daemon
from terminal import Terminal
from vm import Vm, VmError, scaled

SIZE = (1280, 800)
GENERIC = "vhost-user-test-device-pci,virtio-id=16,num_vqs=2,vq_size=256,config_size=20"
RENDERED = re.compile(r"Rendered \d+ frames in [\d.]+ sec \(([\d.]+) fps\)")


def say(words):
    print(f"run: {words}", file=sys.stderr, flush=True)


class Demo:
    def __init__(self, options):
        self.options = options
        self.out = pathlib.Path(options.share or options.out).resolve()
        self.out.mkdir(parents=True, exist_ok=True)
        self.rows = []

    # -- the parts

    def daemon(self):
        display = "qemu"
        if self.options.headless:
            self.frames = self.out / "frames"
            self.frames.mkdir(exist_ok=True)
            for old in self.frames.glob("scanout*-*.png"):
                old.unlink()
            display = f"png:{self.frames}"
        command = [self.options.daemon, "--one-off", f"--display={display}"]
        return Daemon(command + [f"--outputs={SIZE[0]}x{SIZE[1]}"], self.out)

    def machine(self, daemon):
        device = GENERIC
        if not self.options.headless:
            device = f"vhost-user-gpu-pci,xres={SIZE[0]},yres={SIZE[1]}"
        display = "gtk,gl=on" if self.options.window else "none"
        return Vm(
            self.out, daemon.qemu_arguments(device), share=self.options.share,
            display=display, image=self.options.image, daemons=[daemon],
            tree="qemu-gui" if self.options.window else "qemu",
        )

    def run(self):
        with self.daemon() as self.gpu, self.machine(self.gpu) as self.vm:
            try:
                return self.show_image() if self.options.image else self.run_guest()
            except VmError:
                # A daemon that failed is the cause, whatever was noticed first.
                if self.gpu.process.poll():
                    self.gpu.must_live("the guest used it")
                raise

    def run_guest(self):
        say("the guest boots")
        started = time.monotonic()
        release = self.vm.wait_boot()
        say(f"Linux {release} is up after {time.monotonic() - started:.1f} s")
        self.check_driver()
        return self.run_command() if self.options.command else self.draw_all()

    def look(self):
        """What is on the first screen: of QEMU, or in the daemon's newest PNG
        that is whole. None where there is nothing yet."""
        if not self.options.headless:
            return self.vm.screen()
        for path in sorted(self.frames.glob("scanout0-*.png"), reverse=True)[:3]:
            with contextlib.suppress(picture.PictureError, OSError):
                return picture.read(path)
        return None

    def check_driver(self):
        found = self.vm.run("ls /sys/bus/virtio/drivers/virtio_gpu/ | grep -q '^virtio[0-9]'")
        if found.status:
            words = self.vm.run("dmesg | grep -iE 'virtio.gpu|drm' | tail -n 4").out
            raise VmError(f"The guest's driver did not take the device.\n{words}")

    # -- drawing

    def await_picture(self, what, before, seconds=90):
        """The first picture that is not blank and not much like the one before."""
        deadline = time.monotonic() + scaled(seconds)
        shot = None
        while time.monotonic() < deadline:
            self.vm.must_live(f"the guest drew the {what}")
            with contextlib.suppress(picture.PictureError):
                shot = self.look()
            if shot and shot.drawn() > 0.001 and shot.changed(before) > 0.005:
                return shot
            time.sleep(0.3)
        path = self.save(shot, f"{what}-wrong") if shot else "no picture at all"
        raise VmError(f"The {what} did not show within {scaled(seconds):.0f} s: {path}")

    def save(self, shot, what):
        path = self.out / f"gpu-{what.replace(' ', '-')}.png"
        shot.write_png(path)
        return path

    def draw_console(self):
        say("the guest writes on its text console")
        self.vm.check("/virga/draw-console")
        time.sleep(0.5)
        self.console = self.await_picture("console", None)
        self.rows.append(("text console", "", self.save(self.console, "console")))

    def draw_pattern(self):
        say("the guest shows modetest's pattern")
        group = self.vm.spawn("exec /virga/draw-pattern", log="/run/pattern.log")
        self.pattern = self.await_picture("pattern", self.console)
        self.rows.append(("test pattern", "", self.save(self.pattern, "pattern")))
        self.vm.end(group)

    def draw_cube(self):
        say("the guest turns a cube (starting its software renderer takes a while)")
        group = self.vm.spawn("exec /virga/draw-cube", log="/run/cube.log")
        self.cube_log("Rendered")
        first_frames, started = len(self.gpu.frames), time.monotonic()
        rate = self.rate_of_cube()
        first = self.await_picture("cube", self.pattern)
        second = self.await_picture("second cube", first)
        fps = f"{rate:.1f} drawn"
        if self.options.headless:
            shown = (len(self.gpu.frames) - first_frames) / (time.monotonic() - started)
            fps += f", {shown:.1f} shown"
        self.rows.append(("cube", fps, self.save(first, "cube-1")))
        self.rows.append(("cube, later", "", self.save(second, "cube-2")))
        self.vm.end(group)

    def cube_log(self, word, count=1, seconds=120):
        """Waits until kmscube has said a word so often; returns its log."""
        deadline = time.monotonic() + scaled(seconds)
        while True:
            log = self.vm.run("cat /run/cube.log").out
            if log.count(word) >= count:
                return log
            if time.monotonic() > deadline:
                raise VmError("kmscube draws nothing; it said last: " + log[-300:].strip())
            time.sleep(0.5)

    def rate_of_cube(self):
        """Frames per second, by kmscube's own count, over its next seconds."""
        said = self.cube_log("Rendered").count("Rendered")
        return float(RENDERED.findall(self.cube_log("Rendered", said + 2))[-1])

    def draw_all(self):
        self.draw_console()
        self.draw_pattern()
        self.draw_cube()
        self.table()
        if self.options.keep:
            self.shell()
        return 0

    def table(self):
        print(f"\n{'drawn in the guest':20} {'frames/s':24} picture")
        for what, fps, path in self.rows:
            print(f"{what:20} {fps:24} {os.path.relpath(path)}")
        print(flush=True)

    # -- the other ways to end

    def run_command(self):
        """Runs the user's command in the shared folder; its status is ours."""
        result = self.vm.run(shlex.join(self.options.command), timeout=self.options.timeout,
                             out=_writer(sys.stdout.buffer), err=_writer(sys.stderr.buffer))
        self.vm.must_live("the command ran")
        with contextlib.suppress(VmError, picture.PictureError):
            if shot := self.look():
                say(f"the last picture: {os.path.relpath(self.save(shot, 'last'))}")
        return result.status

    def shell(self):
        say("a shell in the guest; leave it with exit or Ctrl-D")
        columns, rows = shutil.get_terminal_size()
        command = ("{ stty sane rows %d cols %d; cd /root; export TERM=%s; setsid -c bash -il; } "
                   "</dev/hvc0 >/dev/hvc0 2>&1"
                   % (rows, columns, shlex.quote(os.environ.get("TERM", "linux"))))
        with Terminal(self.vm.tty):
            self.vm.run(command, timeout=7 * 86400)

    def show_image(self):
        say("the guest's serial console is in " + os.path.relpath(self.vm.console))
        say("QEMU runs until its window is closed or Ctrl-C comes; a picture every 10 s")
        while self.vm.alive():
            time.sleep(10)
            if self.vm.alive():
                self.vm.must_live("the image ran")
            with contextlib.suppress(VmError, picture.PictureError):
                if shot := self.look():
                    self.save(shot, "image")
        return 0


def _writer(stream):
    def write(data):
        stream.write(data)
        stream.flush()
    return write


def parse(arguments):
    parser = argparse.ArgumentParser(description="The drawing part of demos/run.")
    parser.add_argument("--daemon", required=True)
    parser.add_argument("--out", default="virga-out")
    for flag in ("--headless", "--window", "--keep"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("--share")
    parser.add_argument("--image")
    parser.add_argument("--timeout", type=float, default=3600)
    parser.add_argument("command", nargs="*")
    return parser.parse_args(arguments)


def main():
    for name in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, lambda number, _frame: sys.exit(128 + number))
    try:
        return Demo(parse(sys.argv[1:])).run()
    except VmError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
