# SPDX-License-Identifier: MIT
"""Joins this terminal to a socket for a while."""

import os
import select
import sys
import termios
import threading
import tty

END_OF_INPUT = b"\x04"


class Terminal:
    """Within `with`, bytes go from our standard input to the socket and from
    the socket to our standard output; a terminal is made raw and restored.
    Our input waits until the other side has said its first word, since what
    comes to a guest's terminal before anyone reads it there is lost."""

    def __init__(self, sock):
        self.sock, self.saved = sock, None
        self.wake = os.pipe()

    def __enter__(self):
        if sys.stdin.isatty():
            self.saved = termios.tcgetattr(0)
            tty.setraw(0)
        self.thread = threading.Thread(target=self._join)
        self.thread.start()

    def __exit__(self, *_):
        os.write(self.wake[1], b"x")
        self.thread.join()
        if self.saved:
            termios.tcsetattr(0, termios.TCSADRAIN, self.saved)
        for fd in self.wake:
            os.close(fd)

    def _join(self):
        sources, heard = [self.sock, self.wake[0]], False
        while True:
            ready = select.select(sources, [], [])[0]
            if self.sock in ready:
                os.write(1, self.sock.recv(65536))
                if not heard:
                    sources.append(0)
                heard = True
            elif self.wake[0] in ready:
                return
            elif 0 in ready:
                data = os.read(0, 4096)
                self.sock.sendall(data or END_OF_INPUT)
                if not data:
                    sources.remove(0)
