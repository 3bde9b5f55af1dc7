# SPDX-License-Identifier: MIT
"""The machine is reset, rebooted and paused, the driver leaves and comes back: each time the display
shows what the guest draws, nobody complains, and the daemon has no more files and memory than before."""

import time

import machine
from machine import PCI, GuestTest, blocks, wait_until

RESETS, BINDS = 20, 5
DRIVER = "/sys/bus/virtio/drivers/virtio_gpu"
PCI_DRIVER = "/sys/bus/pci/drivers/virtio-pci"
MEMORY_KIB = 4096  # more than this is a leak: a screen has 3072 KiB


class Resets(GuestTest):
    @classmethod
    def setUpClass(cls):
        cls.boot(PCI, png=True)
        cls.m.show("at the beginning")
        cls.fds = cls.m.gpu.descriptors()
        cls.memory = cls.m.memory_kib()
        cls.maps = cls.count_maps()

    @classmethod
    def count_maps(cls):
        """How much guest memory and how many pictures are mapped: in pieces, or, as only root may
        look at those, in GiB."""
        try:
            lines = cls.m.proc("maps").read_text().splitlines()
        except PermissionError:
            return round(cls.m.memory_kib("VmSize:") / 2**20)
        return sum("memfd:" in line for line in lines)

    def tearDown(self):
        """As at the beginning."""
        self.m.show(self.id())
        wait_until(lambda: self.m.gpu.descriptors() == self.fds, 10, f"{self.fds} open files")
        self.assertEqual(self.count_maps(), self.maps)
        self.assertLess(self.m.memory_kib() - self.memory, MEMORY_KIB)
        super().tearDown()

    def test_reset(self):
        """Each time as soon as the driver shows its console: still in the middle of its start. Now
        and then sooner, while the firmware runs or the kernel starts; at last after the boot."""
        for number in range(RESETS - 1):
            frames = len(self.m.gpu.frames)
            self.m.vm.qmp("system_reset")
            if number % 5 == 4:
                time.sleep(number * 0.1)
            else:
                wait_until(lambda: len(self.m.gpu.frames) > frames, 60, "the driver's console")
        self.m.vm.reset()

    def test_reboot(self):
        """By the guest itself. The answer to the command never comes."""
        group = self.m.vm.spawn("sleep 0.5; exec busybox reboot -f")
        self.assertGreater(group, 0)
        self.m.vm.wait_boot()

    def test_driver_leaves(self):
        for _ in range(BINDS):
            self.rebind(DRIVER, f"ls {DRIVER} | grep ^virtio[0-9]")

    def test_transport_leaves(self):
        for _ in range(BINDS):
            self.rebind(PCI_DRIVER, f"basename $(dirname $(readlink -f {DRIVER}/virtio[0-9]*))")

    def rebind(self, driver, find_name):
        """The picture is there again when a driver has left and come back."""
        self.guest(f"name=$({find_name}) && echo $name >{driver}/unbind && "
                   f"test ! -e /dev/fb0 && echo $name >{driver}/bind && test -e /dev/fb0")
        self.m.show(f"after bind {time.monotonic()}")

    def test_pause(self):
        """Paused while it draws; its picture is there while it is paused and afterwards."""
        shot = blocks("pause")
        loop = self.m.vm.spawn("while true; do cat /dev/urandom | head -c 400000 >/dev/fb0; done")
        self.addCleanup(self.m.vm.end, loop)
        for _ in range(3):
            self.m.frames_go_on()
            self.m.vm.qmp("stop")
            self.still()
            self.m.vm.qmp("cont")
        self.m.frames_go_on()
        self.doCleanups()
        self.m.draw(shot)
        self.m.await_picture(shot)
        self.m.vm.qmp("stop")
        self.m.await_picture(shot)
        self.m.vm.qmp("cont")
        self.m.await_picture(shot)

    def still(self):
        """No frame comes any more, once those under way are through."""
        time.sleep(1)
        frames, shot = len(self.m.gpu.frames), self.m.vm.screen()
        time.sleep(0.5)
        self.assertEqual(len(self.m.gpu.frames), frames)
        self.assertEqual(self.m.vm.screen().rgb, shot.rgb)
        self.m.await_picture(shot, self.m.frame)


del GuestTest
if __name__ == "__main__":
    machine.main()
