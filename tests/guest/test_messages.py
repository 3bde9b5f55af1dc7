# SPDX-License-Identifier: MIT
"""What QEMU really asks of a device is what tests/driver/personality.c says that it asks: the same
messages in the same order, with as many descriptors, acknowledged or not."""

import struct
import subprocess

import machine
from machine import BUILD, GENERIC, PCI, Daemon, GuestTest, fresh_folder, scaled
from relay import Relay

DRIVER = "/sys/bus/virtio/drivers/virtio_gpu"
OF_RINGS = ("SET_VRING_NUM", "SET_VRING_ADDR", "SET_VRING_BASE", "GET_VRING_BASE", "SET_VRING_KICK",
            "SET_VRING_CALL", "SET_VRING_ERR", "SET_VRING_ENABLE")


def describe(message):
    """A message without what differs from guest to guest."""
    words = [message.name]
    if message.name in OF_RINGS:
        words.append(f"ring {message.payload[0]}")
    if message.name in ("SET_FEATURES", "SET_PROTOCOL_FEATURES", "SET_STATUS"):
        words.append("%#x" % struct.unpack("=Q", message.payload))
    if message.name == "SET_VRING_ENABLE":
        words.append("%d" % struct.unpack_from("=I", message.payload, 4))
    if message.name == "GET_CONFIG":
        words.append("%d bytes at %d" % struct.unpack_from("=II", message.payload)[::-1])
    if message.fds:
        words.append(f"{message.fds} fd")
    if message.acked:
        words.append("acknowledged")
    return ", ".join(words)


def without_barriers(messages):
    """The third GET_FEATURES and all after it were the player's, to wait for the daemon."""
    seen, kept = 0, []
    for message in messages:
        seen += message.name == "GET_FEATURES"
        if message.name != "GET_FEATURES" or seen <= 2:
            kept.append(message)
    return kept


class Messages(GuestTest):
    def relay(self, daemon):
        relay = Relay(daemon.folder / "relay", daemon.socket)
        self.enterContext(relay)
        daemon.socket = relay.path
        return relay

    def said_by_qemu(self, name, device):
        self.m = machine.Machine(name, device)
        self.enterContext(self.m.gpu)
        relay = self.relay(self.m.gpu)
        self.m.vm.devices = self.m.gpu.qemu_arguments(device)
        with self.m.vm as vm:
            vm.wait_boot()
            vm.check(f"name=$(ls {DRIVER} | grep ^virtio[0-9]) && echo $name >{DRIVER}/unbind && "
                     f"echo $name >{DRIVER}/bind")
            return [describe(message) for message in relay.messages]

    def said_by(self, personality):
        with Daemon([str(machine.GPU)], fresh_folder(personality)) as daemon:
            relay = self.relay(daemon)
            subprocess.run([BUILD / "tests/guest/play", relay.path, personality], check=True,
                           timeout=scaled(60))
            return [describe(message) for message in without_barriers(relay.messages)]

    def compare(self, name, device, personality):
        ours, theirs = self.said_by(personality), self.said_by_qemu(name, device)
        self.maxDiff = None
        self.assertEqual("\n".join(ours), "\n".join(theirs))

    def test_card(self):
        self.compare("messages_card", PCI, "qemu11-gpu")

    def test_generic(self):
        self.compare("messages_generic", GENERIC, "qemu11-generic")


del GuestTest
if __name__ == "__main__":
    machine.main()
