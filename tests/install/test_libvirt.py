# SPDX-License-Identifier: MIT
"""A machine of libvirt's whose graphics card is virga-gpu: found, started, drawn with and ended by
libvirt. Its driver for QEMU runs inside virsh, with all its files in a folder of ours."""

import json
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import time

import bed
import daemon
import picture

DRIVER = "libvirt/connection-driver/libvirt_driver_qemu.so"
PACKAGES = "libvirt-clients libvirt-daemon-driver-qemu"
# Draws a text console and stays; a hook in the place of the test bed's first stage.
HOLD = """#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
while read -r module; do /bin/busybox insmod "/modules/$module"; done </modules/order
exec >/dev/tty0
i=0
while [ $i -lt 40 ]; do echo "a guest of libvirt's, drawn by virga-gpu, line $i"; i=$((i + 1)); done
exec /bin/busybox sleep 1000
"""
DOMAIN = """
<domain type='qemu'>
  <name>virga</name>
  <memory unit='MiB'>512</memory>
  {memory}
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>{kernel}</kernel><initrd>{initrd}</initrd>
    <cmdline>rdinit=/hold quiet</cmdline>
  </os>
  <features><acpi/></features>
  <devices>
    <emulator>{emulator}</emulator>
    {video}
    <memballoon model='none'/><controller type='usb' model='none'/>
  </devices>
</domain>
"""


def cpio_entry(name, mode, data):
    """A file in an archive of the kind that the kernel unpacks, cpio's newc."""
    fields = [1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
    header = b"070701" + b"".join(b"%08x" % f for f in fields) + name.encode() + b"\0"
    return header + b"\0" * (-len(header) % 4) + data + b"\0" * (-len(data) % 4)


def not_root():
    """What to put before a command so that libvirt takes us for an ordinary user: root's libvirt
    reads no folder of ours, and would give files to other users."""
    if os.geteuid() != 0:
        return []
    words = ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--"]
    if subprocess.run([*words, "true"], capture_output=True).returncode:
        daemon.skip("as root this needs user namespaces, which are off here; run it as another user")
    return words


def need_libvirt():
    places = [pathlib.Path(root) for root in ("/usr/lib", "/usr/lib64")]
    if not shutil.which("virsh") or not any(
            found for root in places for found in (*root.glob(DRIVER), *root.glob(f"*/{DRIVER}"))):
        daemon.skip(f"libvirt is not here; on Debian this installs what is used: apt-get install "
                    f"--no-install-recommends {PACKAGES}")


class Virsh:
    """One virsh, the commands by its standard input."""

    MARK = b"virga-done"

    def __init__(self, root, environment):
        self.process = subprocess.Popen(
            [*not_root(), "virsh", "-c", f"qemu:///embed?root={root}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0,
            env=environment)

    def __call__(self, command, seconds=60):
        """What the command printed. virsh repeats what it reads, and prompts."""
        self.process.stdin.write(f"{command}\necho ".encode() + self.MARK + b"\n")
        said, deadline = b"", time.monotonic() + daemon.scaled(seconds)
        while not (done := re.search(rb"(?<!echo )" + self.MARK, said)):
            left = deadline - time.monotonic()
            data = b""
            if left > 0 and select.select([self.process.stdout], [], [], left)[0]:
                data = self.process.stdout.read(65536)
            if not data:
                raise AssertionError(f"no end of virsh's {command}: {said.decode()}")
            said += data
        lines = (line.strip() for line in said[: done.start()].decode().splitlines())
        return "\n".join(line for line in lines
                         if not line.startswith("virsh #") and line not in ("", command))

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(daemon.scaled(10))


def processes(program):
    """The numbers of the processes that run a program, zombies not counted."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cmdline").read_text().split("\0")[0] == str(program):
                found.append(int(entry.name))
        except OSError:
            pass
    return found


class Libvirt(daemon.DaemonTest):
    def setUp(self):
        super().setUp()
        self.path = self.folder.path
        for name in ("root/etc", "run", "config/qemu/vhost-user"):
            (self.path / name).mkdir(parents=True)
        # QEMU's words without virtlogd, which is in another package.
        (self.path / "root/etc/qemu.conf").write_text('stdio_handler = "file"\n')
        self.describe()
        environment = {**os.environ, "HOME": str(self.path), "XDG_RUNTIME_DIR": f"{self.path}/run",
                       "XDG_CONFIG_HOME": f"{self.path}/config"}
        self.virsh = Virsh(self.path / "root", environment)
        self.addCleanup(self.clean_up)

    def clean_up(self):
        try:
            self.virsh("destroy virga")
            self.virsh.close()
        finally:
            for pid in processes(self.program):
                os.kill(pid, signal.SIGKILL)

    def describe(self):
        """How libvirt finds the program; another of its type, which sorts later, is not taken."""
        folder = self.path / "config/qemu/vhost-user"
        for name, program in (("50-virga-gpu", self.program), ("60-other", "/bin/false")):
            said = {"description": name, "type": "gpu", "binary": str(program)}
            (folder / f"{name}.json").write_text(json.dumps(said))

    def domain(self):
        """A machine made with the lines that --check=libvirt prints."""
        printed = self.run_program("--check=libvirt").stdout
        guest = bed.tree("guest")
        initrd = self.path / "initrd"
        hold = cpio_entry("hold", 0o100755, HOLD.encode()) + cpio_entry("TRAILER!!!", 0, b"")
        initrd.write_bytes(hold + b"\0" * (-len(hold) % 512) + (guest / "initrd").read_bytes())
        path = self.path / "domain.xml"
        path.write_text(DOMAIN.format(
            memory=re.search("<memoryBacking>.*</memoryBacking>", printed)[0],
            video=re.search("<video>.*</video>", printed)[0],
            kernel=guest / "kernel", initrd=initrd,
            emulator=bed.write_emulator(self.path / "qemu")))
        return path

    def words_of_qemu(self):
        log = self.path / "root/log/qemu/virga.log"
        return log.read_text(errors="replace")[-2000:] if log.exists() else "QEMU was not started"

    def screen(self):
        """The screen, once the guest's console is on it."""
        file = self.path / "screen"
        self.assertIn("Screenshot saved", self.virsh(f"screenshot virga {file}"))
        shot = picture.read(file)
        return shot if (shot.width, shot.height) == (1280, 800) and shot.drawn() > 0.01 else None

    def test_a_machine(self):
        print(re.search("Using library: (.*)", self.virsh("version"))[1], flush=True)
        self.assertEqual(self.virsh(f"create {self.domain()}"),
                         f"Domain 'virga' created from {self.path}/domain.xml", self.words_of_qemu())
        self.started_by_libvirt()
        shot = daemon.wait_for(self.screen, "the guest's console on the screen", 120)
        self.keep(shot)
        self.assertEqual(self.virsh("domstate virga"), "running")
        self.assertEqual(self.virsh("destroy virga"), "Domain 'virga' destroyed")
        daemon.wait_for(lambda: not processes(self.program), "virga-gpu has ended", 5)

    def started_by_libvirt(self):
        """By --fd=N, N being a socket."""
        pids = processes(self.program)
        self.assertEqual(len(pids), 1, pids)
        command = pathlib.Path(f"/proc/{pids[0]}/cmdline").read_text().split("\0")[:-1]
        self.assertEqual(len(command), 2, command)
        self.assertRegex(command[1], r"^--fd=\d+$")
        if os.geteuid() == 0:  # it has locked itself in
            fd = os.readlink(f"/proc/{pids[0]}/fd/{command[1][5:]}")
            self.assertTrue(fd.startswith("socket:"), fd)

    @staticmethod
    def keep(shot):
        """For who wants to look at it."""
        if "VIRGA_OUT" in os.environ:
            path = pathlib.Path(os.environ["VIRGA_OUT"], "libvirt.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            shot.write_png(path)
            print(f"the screen: {path}")


if __name__ == "__main__":
    need_libvirt()
    bed.need_trees("qemu", "guest")
    not_root()
    daemon.main()
