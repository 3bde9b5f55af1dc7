# SPDX-License-Identifier: MIT
"""What demos/lib/recording.py sees and hears in a recording of demos/lib/clip.py's clip is what is in it."""

import array
import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "demos" / "lib"))

import clip  # noqa: E402
import recording  # noqa: E402
import sound  # noqa: E402
from recording import HEIGHT, WIDTH, Seen  # noqa: E402


def shot_of(number):
    """A picture of the clip in the middle of a screen, as bytes of grey."""
    scale, bar = clip.SIZE[0] / WIDTH, clip.bar(number)
    top = int((HEIGHT - clip.SIZE[1] / scale) / 2)
    shot = bytearray(WIDTH * HEIGHT)
    for y in range(int(clip.SIZE[1] / scale)):
        row = (int(y * scale) - clip.SIZE[1]) // clip.SCALE + clip.HEIGHT
        for x in range(WIDTH):
            pixel = bar[row * clip.WIDTH + int(x * scale) // clip.SCALE] if row >= 0 else x
            shot[(top + y) * WIDTH + x] = pixel
    return bytes(shot)


class Seeing(unittest.TestCase):
    def test_numbers(self):
        for number in range(clip.COUNT):
            cells = [255 * cell for cell in clip.cells(number)]
            self.assertEqual(clip.number_in(cells), number)
            for n in range(len(cells)):
                for wrong in (255 - cells[n], 128):
                    self.assertIsNone(clip.number_in(cells[:n] + [wrong] + cells[n + 1 :]))

    def test_pictures(self):
        for number in (0, 19, 20, 22, 23, 85, clip.COUNT - 1):
            lit = number >= clip.RATE and number % clip.RATE < clip.LIT
            self.assertEqual(recording.read_bar(shot_of(number)), (number, lit))
            self.assertFalse(recording.shows_cube(shot_of(number)))

    def test_other_pictures(self):
        ground = bytearray(b"\x80" * WIDTH * HEIGHT)
        self.assertIsNone(recording.read_bar(ground))
        self.assertFalse(recording.shows_cube(ground))
        ground[WIDTH * 96 + 64 : WIDTH * 96 + 128] = bytes(range(64))
        self.assertTrue(recording.shows_cube(ground))

    def test_offset(self):
        self.assertEqual(recording.offset(Seen(0, 0, {}, [1.0, 2.0, 3.0], [1.25, 2.25, 3.5])), 0.25)
        self.assertEqual(recording.offset(Seen(0, 0, {}, [1.0, 2.0], [0.875, 1.875])), -0.125)
        self.assertIsNone(recording.offset(Seen(0, 0, {}, [1.0], [])))
        self.assertIsNone(recording.offset(Seen(0, 0, {}, [], [1.0])))


    def test_late(self):
        self.assertEqual(recording.late(Seen(0, 0, {0: 5.0, 25: 6.0, 50: 7.05, 75: 8.2}, [], [])), 1)
        self.assertEqual(recording.late(Seen(0, 0, {0: 5.5, 25: 6.0, 50: 7.0}, [], [])), 1)
        self.assertEqual(recording.late(Seen(0, 0, {}, [], [])), 0)


class Hearing(unittest.TestCase):
    def test_ticks(self):
        """Where they are, also when it begins later or earlier."""
        melody = clip.melody()
        left = array.array("h", melody.data)[::2]
        wav = melody._replace(channels=1, data=left.tobytes())
        for begin in (0, 0.25, -1.5):
            ticks = recording.ticks_in(sound.cut(wav, begin, clip.SECONDS))
            self.assertEqual([round(tick + begin, 3) for tick in ticks], list(range(1, clip.SECONDS)))

    def test_cut(self):
        wav = sound.noise(1)
        half = wav.data[: wav.rate // 2 * wav.frame]
        self.assertEqual(sound.cut(wav, 0, 0.5).data, half)
        self.assertEqual(sound.cut(wav, -0.5, 0.5).data, bytes(len(half)) + half)
        self.assertEqual(sound.cut(wav, 0.5, 1.5).data, wav.data[len(half) :] + bytes(len(half)))


if __name__ == "__main__":
    unittest.main()
