# SPDX-License-Identifier: MIT
"""QEMU's vhost-user-vga: the firmware's text is seen before the guest's driver takes the screen, and
again after a reset."""

import machine
from machine import SIZE, GuestTest, wait_until

TEXT_SIZE = "720x400"
BLACK, GREY = (0, 0, 0), (168, 168, 168)


class Vga(GuestTest):
    @classmethod
    def setUpClass(cls):
        cls.m = machine.Machine("vga", "vhost-user-vga,xres=%d,yres=%d" % SIZE,
                                qemu=["-boot", "menu=on,splash-time=4000"]).start()
        cls.addClassCleanup(cls.m.stop)

    def test_firmware_then_driver(self):
        self.await_text()
        self.m.vm.wait_boot()
        self.m.show("after the firmware")
        self.m.vm.qmp("system_reset")
        self.await_text()
        self.m.vm.wait_boot()
        self.m.show("after the reset")

    def await_text(self):
        """SeaBIOS waits with a menu: grey letters on black, more than one line of them."""
        wait_until(self.text_is_seen, 60, "the firmware's text")

    def text_is_seen(self):
        shot = self.m.vm.screen()
        if str(shot) != TEXT_SIZE or shot.drawn() < 0.002:
            return False
        self.assertEqual(set(shot.colours()), {BLACK, GREY})
        row = 720 * 3 * 16  # of letters
        return sum(any(shot.rgb[at : at + row]) for at in range(0, len(shot.rgb), row)) >= 2



del GuestTest
if __name__ == "__main__":
    machine.main()
