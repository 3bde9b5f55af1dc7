# SPDX-License-Identifier: MIT
"""What a guest draws on its screen, and how fast."""

import contextlib
import re
import time

import picture
from vm import VmError, scaled

DEVICE = "vhost-user-test-device-pci,virtio-id=16,num_vqs=2,vq_size=256,config_size=20"  # without a display of QEMU's
RENDERER = re.compile(r"^ *renderer: +\"(.*)\"", re.M)
RENDERED = re.compile(r"Rendered (\d+) frames in ([\d.]+) sec")


def drawn_by_qemu(daemon):
    """How many frames QEMU's display has drawn; the daemon has to run with --log=display:dbg."""
    words = (daemon.logs / "daemon.log").read_text(errors="replace")
    return words.count("scanout 0: drawn")


class Drawer:
    """A graphics card of a guest. look() gives what is on its first screen, None where there is
    nothing yet; shown() how many frames have been there. Pictures are saved in the folder `out`."""

    def __init__(self, vm, out, look, shown):
        self.vm, self.out, self.look, self.shown = vm, out, look, shown

    def check_driver(self):
        found = self.vm.run("ls /sys/bus/virtio/drivers/virtio_gpu/ | grep -q '^virtio[0-9]'")
        if found.status:
            words = self.vm.run("dmesg | grep -iE 'virtio.gpu|drm' | tail -n 4").out
            raise VmError(f"The guest's driver did not take the device.\n{words}")

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

    # -- the cube

    def turn_cube(self):
        """Starts kmscube; its process group."""
        return self.vm.spawn("exec /virga/draw-cube", log="/run/cube.log")

    def renderer(self, virgl=True):
        """Who draws, as kmscube was told (GL_RENDERER)."""
        found = RENDERER.search(self._cube_log("Rendered"))
        renderer = found.group(1) if found else "unknown"
        if virgl and "virgl" not in renderer.lower():
            raise VmError(f"The guest does not draw by virgl but by {renderer}.")
        return renderer

    def rates_of_cube(self, reports=3):
        """Frames per second over some of kmscube's reports: as it counts them, and as they are shown."""
        said = self._cube_log("Rendered").count("Rendered")
        self._cube_log("Rendered", said + 1)
        shown, started = self.shown(), time.monotonic()
        log = self._cube_log("Rendered", said + 1 + reports)
        shown = (self.shown() - shown) / (time.monotonic() - started)
        first, last = RENDERED.findall(log)[said], RENDERED.findall(log)[-1]
        return (int(last[0]) - int(first[0])) / (float(last[1]) - float(first[1])), shown

    def _cube_log(self, word, count=1, seconds=120):
        """Waits until kmscube has said a word so often; returns its log."""
        deadline = time.monotonic() + scaled(seconds)
        while True:
            log = self.vm.run("cat /run/cube.log").out
            if log.count(word) >= count:
                return log
            if time.monotonic() > deadline:
                raise VmError("kmscube draws nothing; it said last: " + log[-300:].strip())
            time.sleep(0.5)
