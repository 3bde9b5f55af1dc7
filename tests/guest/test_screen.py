# SPDX-License-Identifier: MIT
"""virga-gpu in a guest, twice: behind QEMU's graphics card, with PNGs beside its display, and behind
the generic device, where the PNGs are all there is. Pixels are the same everywhere."""

import re

import machine
from machine import GENERIC, PCI, SIZE, Daemon, GuestTest, blocks, crc_of, crop, wait_until

MODE = "%dx%d" % SIZE
OUTPUTS = (SIZE, (800, 600))
CONNECTORS = "/sys/class/drm/card0-Virtual-"
TRACE = "/sys/kernel/tracing"
PATTERN = "sleep infinity | exec modetest -M virtio_gpu -s %s:#0 %s 2>&1"

# What modetest's pattern looked like on QEMU's display, for the test on the generic device.
patterns = {}


def monitor_name(edid):
    """The name in an EDID whose header and checksums are right."""
    for at in range(0, len(edid), 128):
        if sum(edid[at : at + 128]) % 256:
            raise AssertionError(f"the checksum of EDID block {at // 128} is wrong")
    if not edid.startswith(b"\0\xff\xff\xff\xff\xff\xff\0") or len(edid) != 128 * (1 + edid[126]):
        raise AssertionError("no EDID: " + edid.hex())
    names = [edid[at + 5 : at + 18] for at in (54, 72, 90, 108) if edid[at : at + 4] == b"\0\0\0\xfc"]
    return names[0].decode().strip() if names else None


class Drawing(GuestTest):
    """What both machines can; the tests of each follow below."""

    n_screens = 1

    def check_driver(self):
        words = self.guest("dmesg")
        features = re.findall(r"\[drm\] features: (.*)", words)
        self.assertIn("+edid", " ".join(features).split())
        self.assertEqual(re.findall(r"number of scanouts: (\d+)", words), [str(self.n_screens)])
        self.assertEqual(re.findall(r".*\[drm.*ERROR.*", words), [])
        self.assertEqual(self.guest("cat /proc/fb"), "0 virtio_gpudrmfb\n")

    def edid(self, number):
        path = f"{CONNECTORS}{number}/edid"
        return bytes.fromhex(self.guest(f"od -An -v -tx1 {path}").replace("\n", ""))

    def modes(self, number):
        return self.guest(f"cat {CONNECTORS}{number}/modes").split()

    def connectors(self):
        return re.findall(r"^(\d+)\t\d+\tconnected", self.guest("modetest -M virtio_gpu -c"), re.M)

    def pattern(self, options=""):
        """Runs modetest on the first screen until the test ends."""
        group = self.m.vm.spawn(PATTERN % (self.connectors()[0], options), log="/run/modetest.log")
        self.addCleanup(self.m.vm.end, group)


class Card(Drawing):
    @classmethod
    def setUpClass(cls):
        cls.boot(PCI, png=True)

    def test_driver(self):
        self.check_driver()

    def test_monitor(self):
        """QEMU's, as it is QEMU's window."""
        self.assertEqual(self.modes(1)[0], MODE)
        self.assertEqual(monitor_name(self.edid(1)), "QEMU Monitor")

    def test_console(self):
        self.guest("/virga/draw-console")
        wait_until(lambda: len(self.m.vm.screen().colours()) >= 8, 20, "the console's colours")
        shot = self.m.vm.screen()
        self.assertEqual(str(shot), MODE)
        self.assertTrue(0.01 < shot.drawn() < 0.5, shot.drawn())
        self.m.await_picture(shot, self.m.frame)

    def test_picture(self):
        """On QEMU's display and as a PNG at once, and its CRC on the daemon's output."""
        shot = self.m.show("picture")
        self.m.await_picture(shot, self.m.frame)
        last = self.m.gpu.frames[-1]
        self.assertEqual((last.scanout, last.width, last.height, last.crc),
                         (0, *SIZE, crc_of(shot)))

    def test_damage(self):
        """A few rows among others."""
        below, rows = self.m.show("below"), blocks("rows", height=40)
        self.m.draw(rows, row=100)
        stride = SIZE[0] * 3
        rgb = below.rgb[: 100 * stride] + rows.rgb + below.rgb[140 * stride :]
        self.m.await_picture(machine.picture.Picture(*SIZE, rgb))

    def test_pattern(self):
        """modetest's picture, kept for the other machine; then the console's is back."""
        shot = self.m.show("before the pattern")
        self.pattern()
        wait_until(lambda: self.m.vm.screen().changed(shot) > 0.9, 20, "modetest's pattern")
        patterns["card"] = self.m.vm.screen()
        self.m.await_picture(patterns["card"], self.m.frame)
        self.doCleanups()
        self.m.await_picture(shot)

    def test_cursor(self):
        """modetest shows a cursor and moves it about, while pages flip."""
        self.guest(f"mountpoint -q {TRACE} || mount -t tracefs trace {TRACE}; "
                   f"echo >{TRACE}/trace; echo 1 >{TRACE}/events/virtio_gpu/enable")
        frames = len(self.m.gpu.frames)
        self.pattern("-C -v")
        wait_until(lambda: len(self.m.gpu.frames) > frames + 4, 30, "frames beside the cursor")
        self.guest("sleep 1")
        self.m.frames_go_on()
        self.doCleanups()
        trace = self.guest(f"echo 0 >{TRACE}/events/virtio_gpu/enable; cat {TRACE}/trace")
        self.assertTrue(re.search(r"cmd_queue: .* name=cursor type=0x300 ", trace), "no cursor")
        self.assertTrue(re.search(r"cmd_queue: .* name=cursor type=0x301 ", trace), "no move")
        answers = set(re.findall(r"cmd_response: .* type=(0x\w+) ", trace))
        self.assertTrue(answers and all(int(a, 16) < 0x1200 for a in answers), answers)
        self.m.show("after the cursor")


class Generic(Drawing):
    n_screens = 2

    @classmethod
    def setUpClass(cls):
        rng = Daemon([str(machine.RNG)], machine.fresh_folder("rng")).start()
        cls.addClassCleanup(rng.stop)
        cls.rng = rng
        cls.boot(GENERIC, png=True, options=["--outputs=1024x768,800x600"], qemu=[
            "-chardev", f"socket,id=rng,path={rng.socket}", "-device",
            "vhost-user-test-device-pci,virtio-id=4,num_vqs=1,chardev=rng"])

    def show(self, seed):
        """The text console is on both screens, from the same corner."""
        shot = blocks(seed)
        self.m.draw(shot)
        self.await_both(shot)
        return shot

    def await_both(self, shot):
        self.m.await_picture(shot, self.m.frame)
        self.m.await_picture(crop(shot, *OUTPUTS[1]), lambda: self.m.frame(1))

    def test_driver(self):
        self.check_driver()

    def test_monitors(self):
        for number, (width, height) in enumerate(OUTPUTS, 1):
            self.assertEqual(self.modes(number)[0], f"{width}x{height}")
            self.assertRegex(monitor_name(self.edid(number)), r"^Virga")

    def test_picture(self):
        self.show("picture")

    def test_pattern(self):
        """The same pixels as on QEMU's display."""
        if "card" not in patterns:
            self.skipTest("the tests of the other machine did not run")
        self.pattern()
        self.m.await_picture(patterns["card"], self.m.frame)

    def test_two_screens(self):
        """A picture as wide as both: the second shows its right part."""
        self.show("before both")
        before = self.m.frame(1)
        group = self.m.vm.spawn("exec /virga/draw-pattern")
        self.addCleanup(self.m.vm.end, group)
        wait_until(lambda: self.m.frame(1).changed(before) > 0.9, 30, "the second screen")
        left, right = self.m.frame(0), self.m.frame(1)
        self.assertEqual((str(left), str(right)), ("1024x768", "800x600"))
        self.assertGreater(crop(left, 800, 600).changed(right), 0.3)

    def test_reset(self):
        """This device is not told of a reset, and forgets its pictures all the same."""
        for _ in range(2):
            self.m.vm.reset()
            self.check_driver()
        self.show("after the reset")

    def test_random(self):
        self.assertRegex(self.guest("cat /sys/class/misc/hw_random/rng_current"), r"^virtio_rng")
        lines = self.guest("dd if=/dev/hwrng bs=1024 count=8 iflag=fullblock status=none | "
                           "od -An -v -tx8 -w16").split()
        self.assertEqual(len(lines), 1024)
        self.assertEqual(len(set(lines)), 1024)
        self.assertEqual((self.rng.logs / "daemon.log").read_text(), "")


del Drawing, GuestTest
if __name__ == "__main__":
    machine.main()
