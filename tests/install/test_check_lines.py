# SPDX-License-Identifier: MIT
"""The lines of virga-gpu --check=qemu, given to a shell as they are."""

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


def blocks(text):
    """Pairs of lines: the daemon's and QEMU's."""
    lines = [line for line in text.replace("\\\n", "").splitlines() if not line.startswith("#")]
    return list(zip(lines[0::2], lines[1::2]))


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
        text = subprocess.run([self.program, "--check=qemu"], env=self.environment, check=True,
                              capture_output=True, text=True).stdout
        self.window, self.headless = blocks(text)
        self.monitor = path / "qmp"

    def qemu(self, tree, more=()):
        """What the lines' qemu-system-x86_64 is: the test bed's, with a monitor for us."""
        bed.write_emulator(self.folder.path / "bin/qemu-system-x86_64", tree,
                           ["-qmp", f"unix:{self.monitor},server=on,wait=off", *more])

    def shell(self, line):
        return daemon.Daemon("sh", "-c", line, env=self.environment, cwd=self.folder.path,
                             start_new_session=True)

    def works(self, lines):
        path = self.folder.path / "virga-gpu.sock"
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


if __name__ == "__main__":
    bed.need_trees("qemu")
    daemon.main()
