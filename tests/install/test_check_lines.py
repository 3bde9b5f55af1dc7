# SPDX-License-Identifier: MIT
"""The lines of --check=qemu, given to a shell as they are."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time

import bed
import daemon
import vm


def commands(text):
    """The lines that are no comment, and those that go on in the next one as one."""
    return [line for line in text.replace("\\\n", "").splitlines() if not line.startswith("#")]


def connections(path):
    return daemon.sockets_at(path).count(daemon.CONNECTED)


@contextlib.contextmanager
def x_server():
    """A screen for QEMU's window; its address."""
    reader, writer = os.pipe()
    server = subprocess.Popen(["Xvfb", "-displayfd", str(writer), "-nolisten", "tcp"],
                              pass_fds=[writer], stderr=subprocess.DEVNULL)
    os.close(writer)
    try:
        with os.fdopen(reader) as said:
            yield ":" + said.readline().strip()
    finally:
        server.terminate()
        server.wait()


class Lines(daemon.DaemonTest):
    def setUp(self):
        super().setUp()
        path = self.folder.path
        self.environment = {**os.environ, "XDG_RUNTIME_DIR": str(path), "HOME": str(path),
                            "PATH": f"{path}/bin:{os.environ['PATH']}"}
        self.monitor = path / "qmp"

    def check(self, *options):
        return commands(subprocess.run([self.program, *options, "--check=qemu"], env=self.environment,
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                                       stderr=subprocess.DEVNULL).stdout)

    def qemu(self, tree, more=()):
        """What the lines' qemu-system-x86_64 is: the test bed's, with a monitor for us."""
        bed.write_emulator(self.folder.path / "bin/qemu-system-x86_64", tree,
                           ["-qmp", f"unix:{self.monitor},server=on,wait=off", *more])

    def shell(self, line):
        return daemon.Daemon("sh", "-c", line, env=self.environment, cwd=self.folder.path,
                             start_new_session=True)

    def works(self, lines):
        path = self.folder.path / f"{self.ABOUT.name}.sock"
        self.assertTrue(lines[0].endswith("&"), lines)
        with self.shell(lines[0] + "\necho $!\nwait $!") as ours:
            pid = int(ours.process.stdout.readline())
            ours.wait_listening(path)
            with self.shell("exec " + lines[1]) as theirs:
                self.running(theirs)
                self.assertEqual(connections(path), 1)
                self.assertEqual(theirs.end(), 0)
            daemon.wait_for(lambda: connections(path) == 0, "QEMU's connection has ended")
            os.kill(pid, signal.SIGTERM)
            self.assertEqual((ours.status(), path.exists()), (0, False))

    def running(self, theirs):
        """Until the machine runs, and a moment more."""
        def monitor():
            if theirs.process.poll() is not None:
                raise AssertionError(f"QEMU: {theirs.process.stderr.read()}")
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(daemon.scaled(10))
            try:
                sock.connect(str(self.monitor))
                return sock
            except OSError:
                sock.close()

        with daemon.wait_for(monitor, "QEMU's monitor", 60) as sock:
            qmp = vm.Qmp(sock)
            qmp.greet(daemon.scaled(30))
            time.sleep(1)
            status = qmp.command("query-status", daemon.scaled(10))
        self.assertEqual(status["status"], "running")


class Gpu(Lines):
    ONLY = daemon.GPU

    def setUp(self):
        super().setUp()
        lines = self.check()
        self.window, self.headless = lines[0:2], lines[2:4]

    def test_frames_as_files(self):
        self.qemu("qemu")
        self.works(self.headless)
        self.assertTrue((self.folder.path / "virga-frames").is_dir())

    def test_in_a_window(self):
        if not bed.tree("qemu-gui") or not shutil.which("Xvfb"):
            self.skipTest("a window needs Xvfb and demos/testbed make qemu-gui")
        self.qemu("qemu-gui")
        with x_server() as display:
            self.environment["DISPLAY"] = display
            self.works(self.window)

    def test_without_the_window(self):
        """The same line, with another display put behind it."""
        self.qemu("qemu", ["-display", "none"])
        self.works(self.window)


class Sound(Lines):
    ONLY = daemon.SOUND

    def works_with(self, lines, device):
        self.qemu("qemu", ["-display", "none"])
        theirs = lines[1].removesuffix(" ...")  # the rest of a machine
        self.assertIn(device, theirs)
        self.works((lines[0], theirs))

    def test_device(self):
        lines = self.check()
        self.works_with(lines, "-device vhost-user-snd-pci,chardev=vsnd")

    def test_controls(self):
        lines = self.check("--controls")
        self.works_with(lines, "-device vhost-user-snd-pci,chardev=vsnd,controls=on")

    def test_larger_rings(self):
        ours, theirs, other = self.check()
        theirs = theirs.replace("-device vhost-user-snd-pci,chardev=vsnd", other.strip())
        self.works_with((ours, theirs), "vq_size=256")


class Video(Lines):
    ONLY = daemon.VIDEO

    def test_device(self):
        self.qemu("qemu", ["-display", "none"])
        ours, theirs = self.check()
        self.works((ours, theirs.removesuffix(" ...")))


if __name__ == "__main__":
    bed.need_trees("qemu")
    daemon.main()
