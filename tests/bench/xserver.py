# SPDX-License-Identifier: MIT
"""An X server without a screen, and who draws in its windows how often. Needs xvfb and python3-xlib."""

import os
import subprocess
import threading
import time

from Xlib import X, display, error
from Xlib.ext import damage


class XServer:
    """Runs; DISPLAY names it."""

    def __init__(self, width, height):
        self.size = f"{width}x{height}x24"

    def __enter__(self):
        read, write = os.pipe()
        self.process = subprocess.Popen(
            ["Xvfb", "-displayfd", str(write), "-screen", "0", self.size, "-nolisten", "tcp",
             "-noreset"], pass_fds=[write], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(write)
        with os.fdopen(read) as told:
            self.name = ":" + told.readline().strip()
        os.environ["DISPLAY"] = self.name
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def grab(self):
        """The pixels of the whole screen."""
        with_x = display.Display(self.name)
        root = with_x.screen().root
        size = root.get_geometry()
        pixels = root.get_image(0, 0, size.width, size.height, X.ZPixmap, 0xFFFFFFFF).data
        with_x.close()
        return bytes(pixels)


class Presented(threading.Thread):
    """Moments at which a large picture was put into any window: each that a program presents is one, as
    Mesa without a GPU puts it there in one request (XDamage of the root window, raw rectangles)."""

    LEAST = 600 * 400

    def __init__(self, name):
        super().__init__(daemon=True)
        self.display, self.moments = display.Display(name), []
        self.display.damage_query_version()
        self.display.screen().root.damage_create(damage.DamageReportRawRectangles)
        self.display.sync()
        self.start()

    def run(self):
        while True:
            try:
                event = self.display.next_event()
            except (error.ConnectionClosedError, OSError):
                return
            area = getattr(event, "area", None)
            if area and area.width * area.height >= self.LEAST:
                self.moments.append(time.monotonic())
