# SPDX-License-Identifier: MIT
"""Sockets that are there before the daemon: --fd, LISTEN_FDS, systemd-socket-activate."""

import os
import shutil
import signal
import socket
import sys
import unittest

import daemon

USAGE = 2
# Gives a command the socket with the number argv[1] as systemd would.
ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
pid = os.getpid() if sys.argv[2] == "self" else 1
os.environ.update(LISTEN_FDS=sys.argv[3], LISTEN_PID=str(pid))
os.execv(sys.argv[4], sys.argv[4:])
"""

class Given(daemon.DaemonTest):
    """--fd"""

    def listen(self):
        sock = socket.socket(socket.AF_UNIX)
        self.addCleanup(sock.close)
        sock.bind(str(self.socket))
        sock.listen()
        return sock

    def with_fd(self, sock, *arguments):
        return daemon.Daemon(self.program, f"--fd={sock.fileno()}", *arguments,
                             pass_fds=[sock.fileno()])

    def test_listening(self):
        with self.with_fd(self.listen()) as d:
            for _ in range(3):
                daemon.ask_at(self.socket)
            self.assertEqual(d.end(), 0)
        self.assertTrue(self.socket.exists(), "a socket that was given is not ours to remove")

    def test_listening_one_off(self):
        with self.with_fd(self.listen(), "--one-off") as d:
            daemon.ask_at(self.socket)
            self.assertEqual(d.status(), 0)

    def test_connected(self):
        ours, theirs = socket.socketpair()
        with ours, self.with_fd(theirs) as d:
            theirs.close()
            daemon.ask_features(ours)
            self.assertIsNone(d.process.poll())
            ours.close()
            self.assertEqual(d.status(), 0)

    def test_connected_and_a_signal(self):
        ours, theirs = socket.socketpair()
        with ours, self.with_fd(theirs) as d:
            theirs.close()
            daemon.ask_features(ours)
            self.assertEqual(d.end(), 0)
            self.assertEqual(ours.recv(1), b"")

    def test_front_end_gone_before(self):
        ours, theirs = socket.socketpair()
        ours.close()
        with self.with_fd(theirs) as d:
            theirs.close()
            self.assertEqual(d.status(), 0)

class Activated(Given):
    """LISTEN_FDS; the tests of --fd are run this way too."""

    def with_fd(self, sock, *arguments, whose="self", n=1):
        number = str(sock.fileno())
        return daemon.Daemon(sys.executable, "-c", ACTIVATE, number, whose, str(n), self.program,
                             *arguments, pass_fds=[sock.fileno()])

    def test_meant_for_another_process(self):
        with self.with_fd(self.listen(), whose="another") as d:
            _, err = d.process.communicate(timeout=daemon.scaled(10))
            self.assertEqual((d.process.returncode, err.count("\n")), (USAGE, 1), err)

    def test_none_of_them(self):
        with self.with_fd(self.listen(), n=0) as d:
            _, err = d.process.communicate(timeout=daemon.scaled(10))
            self.assertEqual((d.process.returncode, err.count("\n")), (USAGE, 1), err)

    def test_a_path_goes_first(self):
        listener, path = self.listen(), self.folder.path / "own.sock"
        with self.with_fd(listener, f"--socket-path={path}") as d:
            d.wait_listening(path)
            daemon.ask_at(path)
            self.assertEqual(d.end(), 0)

@unittest.skipUnless(shutil.which("systemd-socket-activate"), "systemd-socket-activate is not here")
class Systemd(daemon.DaemonTest):
    """The first front-end's connection starts the daemon, and it finds an answer."""

    def test_started_by_the_first_front_end(self):
        command = (self.program, "--seccomp=log")  # its /proc/PID/exe can be read, by everyone
        with daemon.Daemon("systemd-socket-activate", "-l", self.socket, *command) as d:
            d.wait_listening(self.socket)
            self.assertNotEqual(self.executable(d), str(self.program))
            daemon.ask_at(self.socket)
            self.assertEqual(self.executable(d), str(self.program))
            daemon.ask_at(self.socket)
            self.assertEqual(d.end(signal.SIGTERM), 0)

    @staticmethod
    def executable(d):
        return os.readlink(f"/proc/{d.process.pid}/exe")

if __name__ == "__main__":
    daemon.main()
