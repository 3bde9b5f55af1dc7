# SPDX-License-Identifier: MIT
"""QEMU's own virtio-sound-pci over PipeWire, to be heard and measured beside ours."""

import contextlib
import os
import pathlib
import subprocess

from vm import Vm, VmError

LIBRARY = "libpipewire-0.3.so.0"


def devices(streams=2, options=""):
    """QEMU's arguments. Half of its streams are outputs. Unless it is told the
    rate, all is resampled."""
    return ["-audiodev", f"pipewire,id=virga,out.frequency=48000,in.frequency=48000{options}",
            "-device", f"virtio-sound-pci,audiodev=virga,streams={streams}"]


class PeerVm(Vm):
    """It needs the tree qemu-gui, and PipeWire's library of the host in the
    place of the tree's: a newer client stalls after one cycle of an old daemon."""

    def __init__(self, logs, devices, **options):
        super().__init__(logs, devices, tree="qemu-gui", **options)

    def start(self):
        library = _library()
        ours = {"LD_PRELOAD": library, "SPA_PLUGIN_DIR": library.parent / "spa-0.2",
                "PIPEWIRE_MODULE_DIR": library.parent / "pipewire-0.3"}
        with _environment({name: str(path) for name, path in ours.items()}):
            return super().start()


def _library():
    listed = subprocess.run(["/sbin/ldconfig", "-p"], stdout=subprocess.PIPE, text=True).stdout
    for line in listed.splitlines():
        if LIBRARY in line and "x86-64" in line:
            return pathlib.Path(line.split("=> ")[1])
    raise VmError(f"there is no {LIBRARY} here: demos/setup testbed")


@contextlib.contextmanager
def _environment(ours):
    before = dict(os.environ)
    os.environ.update(ours)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
