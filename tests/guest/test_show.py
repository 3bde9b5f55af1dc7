# SPDX-License-Identifier: MIT
"""demos/run without a name: what it says of itself, and what is in the recording that it leaves."""

import os
import subprocess
import unittest

import machine
from machine import BUILD, ROOT, fresh_folder, scaled

import clip
import recording


class Show(unittest.TestCase):
    def test_show(self):
        """On a busy machine pictures may be late, and sound may break; but then that is said."""
        out = fresh_folder("show")
        run = subprocess.run([ROOT / "demos" / "run"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                             env={**os.environ, "BUILD": str(BUILD), "VIRGA_OUT": str(out)}, timeout=scaled(600))
        broke = "The sound broke" in run.stderr
        self.assertEqual(run.returncode, int(broke), run.stderr)
        self.check_table(run.stdout, broke)
        seen = recording.look(out / "virga-show.webm", sounds=True)
        self.check_pictures(seen)
        if not broke:
            self.check_ticks(seen.ticks)

    def check_table(self, said, broke):
        self.assertRegex(said, r"(?m)^cube +\d+\.\d frames/s drawn, \d+\.\d shown$")
        self.assertRegex(said, r"(?m)^GL_RENDERER +virgl \(LLVMPIPE")
        self.assertIn(f"{clip.COUNT} pictures, {clip.COUNT} of {clip.COUNT} as this machine decodes them", said)
        self.assertEqual("bit-exact, 0 breaks" in said, not broke, said)
        self.assertRegex(said, r"(?m)^the recording: .*virga-show\.webm$")

    def check_pictures(self, seen):
        """The cube, and then the clip from its beginning on, each picture in its turn."""
        self.assertGreater(seen.cube, recording.RATE)
        numbers = list(seen.clip)
        self.assertGreater(len(numbers), 2)
        self.assertEqual(numbers, sorted(numbers))
        self.assertGreater(seen.frames, seen.cube + len(numbers))

    def check_ticks(self, ticks):
        self.assertEqual(len(ticks), clip.SECONDS - 1, ticks)
        for n, tick in enumerate(ticks):
            self.assertAlmostEqual(tick - ticks[0], n, delta=0.002)


if __name__ == "__main__":
    machine.main()
