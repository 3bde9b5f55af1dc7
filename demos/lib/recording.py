# SPDX-License-Identifier: MIT
"""A guest's screen and what is heard of it, as one file; and what is in such a file."""

import array
import collections
import shutil
import statistics
import time

import clip
import sound
import video

RATE = 25


class Recording:
    """What a virga-gpu with --display=png:FOLDER shows while in `with`; `heard`: a Recorder of the
    sound, or None."""

    def __init__(self, daemon, folder, heard=None):
        self.daemon, self.folder, self.heard = daemon, folder, heard

    def __enter__(self):
        self.began = time.monotonic()
        return self

    def __exit__(self, *_):
        self.seconds = time.monotonic() - self.began

    def shots(self):
        """The file of each picture of the recording: the newest frame when its time came."""
        frames, shots = [frame for frame in self.daemon.frames if not frame.scanout], []
        at = 0
        for n in range(int(self.seconds * RATE)):
            while at + 1 < len(frames) and frames[at + 1].when <= self.began + n / RATE:
                at += 1
            shots.append(self.folder / f"scanout0-{frames[at].number:06}.png")
        return shots

    def write(self, path):
        """Writes it as WebM, sound and pictures in time with each other."""
        links = self.folder / "shots"
        shutil.rmtree(links, ignore_errors=True)
        links.mkdir()
        for n, shot in enumerate(self.shots()):
            (links / f"{n:05}.png").symlink_to(shot)
        pipeline = (f"multifilesrc location={links}/%05d.png caps=image/png,framerate={RATE}/1 ! pngdec ! queue !"
                    " videoconvert ! queue ! vp8enc deadline=1 cpu-used=8 threads=2 target-bitrate=4000000"
                    f" keyframe-max-dist=100 ! queue ! mux. webmmux name=mux ! filesink location={path}")
        if self.heard:
            late = self.began - self.heard.began()
            wav = sound.cut(sound.read_wav(self.heard.path), late, late + self.seconds)
            sound.write_wav(self.heard.path, wav)
            pipeline += f" filesrc location={self.heard.path} ! wavparse ! audioconvert ! opusenc ! queue ! mux."
        video.gst(pipeline)


# -- looking at one

Seen = collections.namedtuple("Seen", "frames cube clip lights ticks")
Seen.__doc__ = """What is in a recording. frames: how many pictures. cube: how many of them show kmscube's.
clip: when each picture of the clip came, by the number that it says. lights, ticks: when the clip's
lamp went on and when it ticked. All in seconds."""

# Pictures are looked at so large, as bytes of grey.
WIDTH, HEIGHT = 256, 192
GREY = range(118, 139)  # kmscube's ground


def look(path, sounds):
    """Decodes a recording; sounds: whether there is something to be heard in it."""
    shots = _shots(path)
    bars = [read_bar(shot) for shot in shots]
    lit = [bool(bar and bar[1]) for bar in bars]
    lights = [n / RATE for n in range(1, len(lit)) if lit[n] and not lit[n - 1]]
    cube, came = sum(shows_cube(shot) for shot in shots), {}
    for n, bar in enumerate(bars):
        if bar:
            came.setdefault(bar[0], n / RATE)
    return Seen(len(shots), cube, came, lights, ticks_in(_heard(path)) if sounds else [])


def late(seen, most=0.1):
    """How many pictures of the clip came so much later than most of them did."""
    delays = [came - number / clip.RATE for number, came in seen.clip.items()]
    return sum(delay - statistics.median(delays) > most for delay in delays)


def offset(seen):
    """By how many seconds it ticks after the lamp went on; None where not both are there."""
    pairs = [min((tick - light for light in seen.lights), key=abs, default=None) for tick in seen.ticks]
    near = [pair for pair in pairs if pair is not None and abs(pair) < 0.5]
    return statistics.median(near) if near else None


def read_bar(shot):
    """The number that the clip's picture says, and whether its lamp is on; None where there is none."""
    scale = WIDTH / clip.SIZE[0]  # it is as wide as the screen, and in the middle
    top = (HEIGHT - clip.SIZE[1] * scale) / 2
    y = int(top + (clip.SIZE[1] - clip.HEIGHT * clip.SCALE / 2) * scale)

    def bright(x):
        """At a place of the bar."""
        at = y * WIDTH + int(x * clip.SCALE * scale)
        return sum(shot[at - 1 : at + 2]) / 3

    number = clip.number_in([bright(clip.CELLS + clip.CELL * (n + 0.5)) for n in range(clip.N_CELLS)])
    return None if number is None else (number, bright(clip.LAMP + clip.LAMP_WIDTH / 2) > 127)


def shows_cube(shot):
    corners = [shot[y * WIDTH + x] for y in (2, HEIGHT - 3) for x in (2, WIDTH - 3)]
    return all(corner in GREY for corner in corners) and len(set(shot)) > 16


def ticks_in(heard):
    """When a sound of one channel ticks: what is so steep is no melody."""
    data, ticks = array.array("h", heard.data), []
    for n, (a, b, c) in enumerate(zip(data, data[1:], data[2:])):
        if abs(a - 2 * b + c) > clip.STEEP and (not ticks or n / heard.rate - ticks[-1] > 0.5):
            ticks.append(n / heard.rate)
    return ticks


def _shots(path):
    raw = path.with_suffix(".raw")
    video.gst(f"filesrc location={path} ! matroskademux ! vp8dec ! videoscale ! videoconvert !"
              f" video/x-raw,format=GRAY8,width={WIDTH},height={HEIGHT} ! filesink location={raw}")
    data = raw.read_bytes()
    raw.unlink()
    return [data[at : at + WIDTH * HEIGHT] for at in range(0, len(data), WIDTH * HEIGHT)]


def _heard(path):
    """Its sound, as one channel."""
    wav = path.with_suffix(".wav")
    video.gst(f"filesrc location={path} ! matroskademux ! opusdec ! audioconvert !"
              f" audio/x-raw,format=S16LE,channels=1 ! wavenc ! filesink location={wav}")
    heard = sound.read_wav(wav)
    wav.unlink()
    return heard
