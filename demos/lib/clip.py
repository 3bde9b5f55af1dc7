# SPDX-License-Identifier: MIT
"""A clip made on the spot: a moving pattern over a bar on which each picture says its number, for people as
seconds and for programs as black and white cells; and a melody that ticks when the lamp on the bar goes on."""

import array
import math
import random
import shutil

import sound
import video

SIZE, RATE, SECONDS = (480, 270), 20, 6
COUNT = RATE * SECONDS
LIT = 3  # so many pictures the lamp is on
STEEP = 3000  # the second difference of a tick's samples is more, of the melody's far less
PATTERN = "pattern=chroma-zone-plate kx2=12 ky2=20 kt=3"

# The bar, where three pixels of the picture's rows are one: where things begin, and how large they are.
SCALE = 3
WIDTH, HEIGHT = SIZE[0] // SCALE, 16
CLOCK, CELLS, LAMP = 4, 52, 134
N_CELLS, CELL, TOP, LAMP_WIDTH = 12, 6, 3, 22
# A row a digit: three pixels, as bits.
GLYPHS = {"0": "75557", "1": "26227", "2": "71747", "3": "71717", "4": "55711", "5": "74717",
          "6": "74757", "7": "71111", "8": "75757", "9": "75717", ".": "00002"}


def make(folder):
    """Encodes it: a video.Clip, and its sound, which is in sound.wav beside the pictures."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    wav = melody()
    sound.write_wav(folder / "sound.wav", wav)
    (folder / "bar.raw").write_bytes(b"".join(bar(number) for number in range(COUNT)))
    words = video.CODECS["h264"]
    video.gst(
        f"videotestsrc num-buffers={COUNT} {PATTERN} !"
        f" video/x-raw,format=I420,width={SIZE[0]},height={SIZE[1]},framerate={RATE}/1 ! queue ! mix.sink_0"
        f" filesrc location={folder}/bar.raw !"
        f" rawvideoparse format=gray8 width={WIDTH} height={HEIGHT} framerate={RATE}/1 !"
        f" videoscale method=nearest-neighbour ! video/x-raw,width={SIZE[0]},height={HEIGHT * SCALE} ! videoconvert ! queue ! mix.sink_1"
        f" compositor name=mix sink_1::ypos={SIZE[1] - HEIGHT * SCALE} ! video/x-raw,format=I420 !"
        f" x264enc bframes=2 b-adapt=false key-int-max={RATE} bitrate=3000 ! {words.caps} !"
        f" multifilesink location={folder}/%05d")
    return video.clip_of(folder, "clip", "h264", [(*SIZE, COUNT)]), wav


# -- pictures


def cells(number):
    """White and black ends, the number's bits, and their parity."""
    bits = [number >> bit & 1 for bit in range(8)]
    return [1, 0, *bits, 1 - sum(bits) % 2, 1]


def number_in(cell):
    """The number that cells say, by their brightness; None where there is no bar."""
    found = [int(value > 127) for value in cell]
    number = sum(bit << n for n, bit in enumerate(found[2:10]))
    clear = all(value < 80 or value > 175 for value in cell)
    return number if clear and found == cells(number) else None


def lit(number):
    """Whether the lamp is on: when a second begins, but the first."""
    return number >= RATE and number % RATE < LIT


def bar(number):
    """The bytes of a picture's bar."""
    rows = [bytearray(WIDTH) for _ in range(HEIGHT)]

    def paint(x, width):
        for row in rows[TOP : HEIGHT - TOP]:
            row[x : x + width] = b"\xff" * width

    for n, cell in enumerate(cells(number)):
        paint(CELLS + CELL * n, CELL * cell)
    paint(LAMP, LAMP_WIDTH * lit(number))
    for n, sign in enumerate(f"{number / RATE:05.2f}"):
        for y in range(2 * len(GLYPHS[sign])):
            for x in range(6):
                if int(GLYPHS[sign][y // 2]) >> 2 - x // 2 & 1:
                    rows[TOP + y][CLOCK + 8 * n + x] = 255
    return b"".join(rows)


# -- sound


def melody():
    """It fades at its end. There is a faint noise in it, so that no two places are the same."""
    tune, count = array.array("h", sound.melody(gain=0.3).data), 2 * sound.RATE * SECONDS
    fade = sound.RATE // 2
    samples = [tune[n % len(tune)] for n in range(count - fade)]
    samples += [tune[n % len(tune)] * (count - n) // fade for n in range(count - fade, count)]
    for second in range(1, SECONDS):
        for n, value in enumerate(tick()):
            for at in (2 * (second * sound.RATE + n), 2 * (second * sound.RATE + n) + 1):
                samples[at] += value
    noise = random.Random("clip").randbytes(count)
    data = array.array("h", (value + (byte & 7) - 3 for value, byte in zip(samples, noise)))
    return sound.Wav("S16", sound.RATE, 2, data.tobytes())


def tick():
    """40 ms of 6 kHz, far above the melody."""
    count = sound.RATE // 25
    return [int(13000 * (1 - n / count) * math.sin(2 * math.pi * 6000 * n / sound.RATE)) for n in range(count)]
