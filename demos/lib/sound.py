# SPDX-License-Identifier: MIT
"""Sounds as files, and what became of one on its way: to the frame.

Noise never says the same thing twice, so each piece of a recording has one
place in the original, and whatever is missing, repeated or put in shows."""

import array
import collections
import math
import random
import re
import struct

RATE = 48000
NEEDLE = 16  # frames by which a place is known again

# What a format is in a WAV: its tag, the bits that count, the bytes of a sample.
Format = collections.namedtuple("Format", "tag bits size")
FORMATS = {
    "U8": Format(1, 8, 1), "S16": Format(1, 16, 2), "S24_3": Format(1, 24, 3),
    "S24": Format(1, 24, 4), "S32": Format(1, 32, 4), "FLOAT": Format(3, 32, 4),
}

Wav = collections.namedtuple("Wav", "format rate channels data")
Wav.frame = property(lambda wav: FORMATS[wav.format].size * wav.channels)
Wav.frames = property(lambda wav: len(wav.data) // wav.frame)
Wav.__doc__ = "A sound: the name of its format, and its frames as bytes."


# -- files


def read_wav(path):
    """Also one whose writer was ended before it wrote the lengths."""
    with open(path, "rb") as file:
        words = file.read()
    if words[:4] != b"RIFF" or words[8:12] != b"WAVE":
        raise ValueError(f"{path} is no WAV")
    at, layout = 12, None
    while at + 8 <= len(words):
        name, length = words[at : at + 4], int.from_bytes(words[at + 4 : at + 8], "little")
        at += 8
        if name == b"fmt ":
            layout = _read_format(words[at : at + length])
        elif name == b"data" and layout:
            end = at + length if 0 < length <= len(words) - at else len(words)
            wav = Wav(*layout, words[at:end])
            return wav._replace(data=wav.data[: wav.frames * wav.frame])
        at += length + length % 2
    raise ValueError(f"{path} has no sound")


def _read_format(words):
    tag, channels, rate, _, align, bits = struct.unpack("<HHIIHH", words[:16])
    if tag == 0xFFFE:  # extensible: the true tag begins a GUID, and bits may be fewer
        bits, tag = struct.unpack_from("<H4xH", words, 18)
    for name, layout in FORMATS.items():
        if layout == (tag, bits, align // channels):
            return name, rate, channels
    raise ValueError(f"format {tag} with {bits} bits is not known")


def write_wav(path, wav):
    layout = FORMATS[wav.format]
    with open(path, "wb") as file:
        file.write(struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(wav.data), b"WAVE", b"fmt ",
                               16, layout.tag, wav.channels, wav.rate, wav.rate * wav.frame,
                               wav.frame, layout.bits, b"data", len(wav.data)))
        file.write(wav.data)


# -- signals


def noise(seconds, format="S16", channels=2, seed="virga", rate=RATE):
    """White noise, the same for the same seed: exact on its way through 32-bit
    floats, that is at most 24 bits of it where the format has more."""
    count = int(seconds * rate) * channels
    chance = random.Random(f"{seed} {format}")
    if format in ("U8", "S16", "S24_3"):
        return Wav(format, rate, channels, chance.randbytes(count * FORMATS[format].size))
    whole = chance.randbytes(count * 3)
    if format == "FLOAT":
        values = (int.from_bytes(whole[at : at + 3], "little") - (1 << 23)
                  for at in range(0, len(whole), 3))
        return Wav(format, rate, channels,
                   array.array("f", (value / (1 << 23) for value in values)).tobytes())
    data = bytearray(count * 4)
    low = 0 if format == "S24" else 1
    for byte in range(3):
        data[low + byte :: 4] = whole[byte::3]
    if format == "S24":  # the sign goes up to the top
        data[3::4] = whole[2::3].translate(bytes(128) + b"\xff" * 128)
    return Wav(format, rate, channels, bytes(data))


# Halves of a beat, and how far above the A below middle C.
TUNE = ((1, 3), (1, 7), (1, 10), (1, 15), (1, 14), (1, 10), (2, 12), (1, 8), (1, 12), (1, 15),
        (1, 20), (1, 19), (1, 15), (2, 17), (1, 14), (1, 10), (1, 7), (1, 10), (4, 15))


def melody(gain=0.4, rate=RATE):
    """A few bars for people, in 16 bits."""
    samples = array.array("h")
    for halves, step in TUNE:
        pitch, count = 220 * 2 ** (step / 12), int(halves * 0.16 * rate)
        for n in range(count):
            fade = min(1, n / 240, (count - n) / 480) * math.exp(-2.5 * n / rate)
            turn = 2 * math.pi * pitch * n / rate
            value = int(32767 * gain * fade * (math.sin(turn) + 0.3 * math.sin(2 * turn)))
            samples.extend((value, value))
    return Wav("S16", rate, 2, samples.tobytes())


def with_silence(wav, before, after):
    """Seconds of it on both sides."""
    zero = b"\x80" if wav.format == "U8" else b"\0"
    gaps = [zero * (int(seconds * wav.rate) * wav.frame) for seconds in (before, after)]
    return wav._replace(data=gaps[0] + wav.data + gaps[1])


def cut(wav, begin, end):
    """From one second to another; silence where there is nothing."""
    begin, end = (round(seconds * wav.rate) * wav.frame for seconds in (begin, end))
    data = bytes(max(0, -begin)) + wav.data[max(0, begin) : max(0, end)]
    return wav._replace(data=data + bytes(end - begin - len(data)))


def as_s32(wav):
    """The same sound in 32 bits, where all formats can be told apart or not."""
    size, data = FORMATS[wav.format].size, wav.data
    if wav.format == "FLOAT":
        top = (1 << 31) - 1
        data = array.array("i", (min(top, int(value * (1 << 31)))
                                 for value in array.array("f", data))).tobytes()
    elif wav.format != "S32":
        if wav.format == "U8":
            data = data.translate(bytes(value ^ 0x80 for value in range(256)))
        wide = bytearray(len(data) // size * 4)
        used = 3 if wav.format == "S24" else size
        for byte in range(used):
            wide[4 - used + byte :: 4] = data[byte::size]
        data = bytes(wide)
    return Wav("S32", wav.rate, wav.channels, data)


# -- comparing

Break = collections.namedtuple("Break", "kind original recording length")
Break.__doc__ = """Where the recording leaves the original: a `gap` of so many frames that were
put in, frames `lost`, frames `replaced` by others, or a `repeat` of the last so many. A graph that
misses a cycle replaces frames, and nothing moves."""
Run = collections.namedtuple("Run", "original recording length")


class Comparison:
    """runs: the exact pieces in the order of the recording. frames: how long
    the original is. exact: how many of its frames are there."""

    def __init__(self, runs, frames):
        self.runs, self.frames = runs, frames
        self.exact = _covered(runs)
        self.first = runs[0].original if runs else None
        self.last = runs[-1].original + runs[-1].length - 1 if runs else None
        self.breaks = [found for pair in zip(runs, runs[1:]) for found in _breaks(*pair)]

    def whole(self, cut=0):
        """Exact from beginning to end, but for so many frames at both ends."""
        return bool(self.runs) and not self.breaks and (
            self.first <= cut and self.frames - 1 - self.last <= cut)

    def __str__(self):
        words = f"{self.exact} of {self.frames} frames exact, {len(self.breaks)} breaks"
        return words + "".join(f"\n  {b.kind} of {b.length} at frame {b.original}"
                               for b in self.breaks[:12])


def compare(original, recording):
    """Two sounds of one format."""
    if (original.format, original.channels) != (recording.format, recording.channels):
        raise ValueError(f"{original.format} x {original.channels} and "
                         f"{recording.format} x {recording.channels} cannot be compared")
    return Comparison(list(_runs(original.data, recording.data, original.frame)), original.frames)


def _runs(original, recording, frame):
    width = NEEDLE * frame
    index = {original[at : at + width]: at for at in range(0, len(original) - width + 1, width)}
    sound, r = re.compile(b"[^\\0]"), 0
    done = 0  # what is in a run already
    while r + width <= len(recording):
        window = recording[r : r + width]
        at = index.get(window)
        if at is not None:
            other = recording[done:r]
            before = _common_end(original[max(0, at - len(other)) : at], other, frame)
            after = _common(original, at, recording, r)
            length = (before + after) // frame
            yield Run((at - before) // frame, (r - before) // frame, length)
            done = r = r - before + length * frame
        elif not any(window):
            next_sound = sound.search(recording, r)
            r = max(r + frame, next_sound.start() // frame * frame - width if next_sound
                    else len(recording))
        else:
            r += frame


def _common(a, at, b, bt):
    """How many bytes are the same from there on."""
    length, step = 0, 1 << 20
    a, b = memoryview(a), memoryview(b)
    most = min(len(a) - at, len(b) - bt)
    while step and length < most:
        step = min(step, most - length)
        if a[at + length : at + length + step] == b[bt + length : bt + length + step]:
            length += step
        else:
            step //= 2
    return length


def _common_end(a, b, frame):
    """How many bytes at the ends are the same, in whole frames."""
    most, length = min(len(a), len(b)), 0
    while length + frame <= most and (
            a[len(a) - length - frame : len(a) - length]
            == b[len(b) - length - frame : len(b) - length]):
        length += frame
    return length


def _breaks(one, two):
    end, heard = one.original + one.length, one.recording + one.length
    extra, missing = two.recording - heard, two.original - end
    replaced = max(0, min(extra, missing))
    for kind, length in (("replaced", replaced), ("gap", extra - replaced),
                         ("lost", missing - replaced), ("repeat", -missing)):
        if length > 0:
            yield Break(kind, end, heard, length)


def _covered(runs):
    """Frames of the original that are in any run, each once."""
    count = seen = 0
    for run in sorted(runs):
        count += max(0, run.original + run.length - max(seen, run.original))
        seen = max(seen, run.original + run.length)
    return count
