# SPDX-License-Identifier: MIT
"""Stands between a front-end and a vhost-user daemon and notes what the front-end asks.

    with Relay("front.sock", daemon.socket) as relay:
        ...  # a front-end connects to front.sock
        print(relay.messages)
"""

import array
import collections
import os
import socket
import struct
import threading

Message = collections.namedtuple("Message", "name acked fds payload")

HEADER = struct.Struct("=III")
NEED_REPLY = 1 << 3
MAX_FDS = 16
NAMES = {
    1: "GET_FEATURES", 2: "SET_FEATURES", 3: "SET_OWNER", 4: "RESET_OWNER", 5: "SET_MEM_TABLE",
    8: "SET_VRING_NUM", 9: "SET_VRING_ADDR", 10: "SET_VRING_BASE", 11: "GET_VRING_BASE",
    12: "SET_VRING_KICK", 13: "SET_VRING_CALL", 14: "SET_VRING_ERR", 15: "GET_PROTOCOL_FEATURES",
    16: "SET_PROTOCOL_FEATURES", 17: "GET_QUEUE_NUM", 18: "SET_VRING_ENABLE",
    21: "SET_BACKEND_REQ_FD", 24: "GET_CONFIG", 25: "SET_CONFIG", 31: "GET_INFLIGHT_FD",
    32: "SET_INFLIGHT_FD", 33: "GPU_SET_SOCKET", 34: "RESET_DEVICE", 36: "GET_MAX_MEM_SLOTS",
    37: "ADD_MEM_REG", 38: "REM_MEM_REG", 39: "SET_STATUS", 40: "GET_STATUS",
    44: "GET_SHMEM_CONFIG",
}


def receive(sock, size):
    """So many bytes and the descriptors that came with them; fewer bytes at the end."""
    data, fds = b"", array.array("i")
    while len(data) < size:
        more, control, _, _ = sock.recvmsg(size - len(data), socket.CMSG_SPACE(4 * MAX_FDS))
        for level, kind, body in control:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds.frombytes(body[: len(body) // 4 * 4])
        if not more:
            break
        data += more
    return data, list(fds)


def send(sock, data, fds):
    """Sends all of it, the descriptors with the first byte; they are closed here."""
    control = []
    if fds:
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
    sent = sock.sendmsg([data], control)
    sock.sendall(data[sent:])
    for fd in fds:
        os.close(fd)


class Relay:
    """One connection from `path` to the daemon at `target`. `messages` grows."""

    def __init__(self, path, target):
        self.path, self.target, self.messages = str(path), str(target), []

    def __enter__(self):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(1)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.thread.join(5)
        self.listener.close()

    def _serve(self):
        with self.listener.accept()[0] as front, socket.socket(socket.AF_UNIX) as back:
            back.connect(self.target)
            answers = threading.Thread(target=self._pump, args=(back, front, None), daemon=True)
            answers.start()
            self._pump(front, back, self.messages)
            answers.join()

    def _pump(self, source, sink, notes):
        """Hands on whole messages until either side has left."""
        try:
            while True:
                header, fds = receive(source, HEADER.size)
                if len(header) < HEADER.size:
                    break
                request, flags, size = HEADER.unpack(header)
                payload, more = receive(source, size)
                if notes is not None:
                    notes.append(Message(NAMES.get(request, str(request)),
                                         bool(flags & NEED_REPLY), len(fds + more), payload))
                send(sink, header + payload, fds + more)
        except OSError:
            pass
        for sock in (source, sink):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
