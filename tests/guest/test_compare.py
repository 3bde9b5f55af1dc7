# SPDX-License-Identifier: MIT
"""What demos/lib/sound.py finds in a recording is what was done to it, to the frame."""

import pathlib
import random
import struct
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "demos" / "lib"))

import sound  # noqa: E402
from sound import Break  # noqa: E402


class Comparing(unittest.TestCase):
    def setUp(self):
        self.wav = sound.noise(2)

    def piece(self, start, end=None):
        frame = self.wav.frame
        return self.wav.data[start * frame : end and end * frame]

    def silence(self, frames):
        return bytes(frames * self.wav.frame)

    def compare(self, *pieces):
        return sound.compare(self.wav, self.wav._replace(data=b"".join(pieces)))

    def test_whole(self):
        for before, after in ((0, 0), (1, 0), (4096, 777)):
            found = self.compare(self.silence(before), self.wav.data, self.silence(after))
            self.assertTrue(found.whole())
            self.assertEqual((found.exact, found.first, found.last),
                             (96000, 0, 95999))

    def test_ends_cut(self):
        found = self.compare(self.piece(7, 95990))
        self.assertEqual((found.exact, found.first, found.last, found.breaks),
                         (95983, 7, 95989, []))
        self.assertEqual((found.whole(), found.whole(8), found.whole(10)), (False, False, True))

    def test_gap(self):
        for length in (1, 15, 16, 17, 512, 9999):
            found = self.compare(self.silence(5), self.piece(0, 1001), self.silence(length),
                                 self.piece(1001))
            self.assertEqual(found.breaks, [Break("gap", 1001, 1006, length)])
            self.assertEqual(found.exact, 96000)

    def test_lost(self):
        for length in (1, 16, 700):
            found = self.compare(self.piece(0, 3000), self.piece(3000 + length))
            self.assertEqual(found.breaks, [Break("lost", 3000, 3000, length)])
            self.assertEqual(found.exact, 96000 - length)

    def test_repeat(self):
        for length in (1, 16, 480):
            found = self.compare(self.piece(0, 3000), self.piece(3000 - length))
            self.assertEqual(found.breaks, [Break("repeat", 3000, 3000, length)])
            self.assertEqual(found.exact, 96000)

    def test_replaced(self):
        for middle in (self.silence(256), bytes(range(256)) * 4):
            found = self.compare(self.piece(0, 5000), middle, self.piece(5256))
            self.assertEqual(found.breaks, [Break("replaced", 5000, 5000, 256)])

    def test_all_at_once(self):
        found = self.compare(self.silence(100), self.piece(0, 1000), self.silence(512),
                             self.piece(1000, 2000), self.piece(2100, 3000), self.piece(2900, 5000),
                             self.silence(300), self.piece(5256, 90000))
        self.assertEqual([(b.kind, b.original, b.length) for b in found.breaks], [
            ("gap", 1000, 512), ("lost", 2000, 100), ("repeat", 3000, 100),
            ("replaced", 5000, 256), ("gap", 5000, 44)])
        self.assertEqual((found.exact, found.last), (90000 - 100 - 256, 89999))

    def test_random(self):
        """Gaps and losses at random, each found again."""
        for seed in range(20):
            chance, at, done, pieces = random.Random(seed), 0, [], []
            while at < 90000:
                end = at + chance.randrange(100, 20000)
                pieces.append(self.piece(at, end))
                kind, length = chance.choice(("gap", "lost")), chance.randrange(1, 2000)
                if kind == "gap":
                    pieces.append(self.silence(length))
                at = end + (length if kind == "lost" else 0)
                done.append((kind, end, length))
            found = self.compare(*pieces, self.piece(at))
            done = [one for one in done if one[1] + (one[2] if one[0] == "lost" else 0) < 95984]
            self.assertEqual([(b.kind, b.original, b.length) for b in found.breaks], done)

    def test_other_sounds(self):
        for other in (sound.noise(1, seed="other"), self.wav._replace(data=self.silence(50000)),
                      self.wav._replace(data=b"")):
            found = sound.compare(self.wav, other)
            self.assertEqual((found.exact, found.breaks, found.first, found.whole()),
                             (0, [], None, False))


class Files(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name) / "a.wav"

    def test_formats(self):
        for name in sound.FORMATS:
            for channels in (1, 2, 6):
                wav = sound.noise(0.1, name, channels)
                self.assertEqual(wav.frames, 4800)
                sound.write_wav(self.path, wav)
                self.assertEqual(sound.read_wav(self.path), wav)
                self.assertTrue(sound.compare(wav, sound.with_silence(wav, 0.1, 0)).whole())

    def test_not_ended(self):
        """A writer that was ended has left no length."""
        wav = sound.noise(0.1)
        sound.write_wav(self.path, wav)
        words = bytearray(self.path.read_bytes())
        words[40:44] = bytes(4)
        self.path.write_bytes(words + b"x")
        self.assertEqual(sound.read_wav(self.path), wav)

    def test_extensible(self):
        data = sound.noise(0.1, "S24").data
        guid = struct.pack("<H", 1) + bytes.fromhex("000000001000800000aa00389b71")
        layout = struct.pack("<HHIIHHHHI", 0xFFFE, 2, 48000, 384000, 8, 32, 22, 24, 3) + guid
        self.path.write_bytes(b"RIFF\0\0\0\0WAVE" + b"fmt " + struct.pack("<I", len(layout)) + layout
                              + b"junk\x03\0\0\0abc\0data" + struct.pack("<I", len(data)) + data)
        self.assertEqual(sound.read_wav(self.path), sound.Wav("S24", 48000, 2, data))

    def test_no_sound(self):
        for words in (b"", b"RIFF\0\0\0\0WAVE", b"RIFF\0\0\0\0WAVEdata\0\0\0\0"):
            self.path.write_bytes(words)
            self.assertRaises(ValueError, sound.read_wav, self.path)

    def test_wide(self):
        """In 32 bits all formats say the same."""
        narrow = sound.Wav("S16", 48000, 1, struct.pack("<3h", -32768, 0, 0x1234))
        wide = struct.pack("<3i", -32768 << 16, 0, 0x12340000)
        self.assertEqual(sound.as_s32(narrow).data, wide)
        for name, data in (("U8", b"\0\x80\x12"), ("S24", struct.pack("<3i", -1 << 23, 0, 0x123456)),
                           ("S24_3", b"\0\0\x80\0\0\0\x56\x34\x12"),
                           ("FLOAT", struct.pack("<3f", -1, 0, 0x1234 / 32768))):
            found = struct.unpack("<3i", sound.as_s32(sound.Wav(name, 48000, 1, data)).data)
            self.assertEqual(found[:2], (-1 << 31, 0), name)
            self.assertEqual(found[2], {"U8": -0x6E000000, "FLOAT": 0x12340000}.get(name, 0x12345600))


if __name__ == "__main__":
    unittest.main(verbosity=1)
