# SPDX-License-Identifier: MIT
"""Decodes in a guest by virga-video and compares each picture: see demos/run."""

import argparse
import os
import shutil
import sys

import demo
import picture
import video
from daemon import Daemon
from demo import Demo, say
from vm import Vm, VmError

SIZE, COUNT = (640, 360), 60
SMALL = (320, 176)
# How much a picture on the sheet is shrunk, and how many stand side by side.
SHRINK, ACROSS = 4, 5


class VideoDemo(Demo):
    # -- the parts

    def make_daemons(self):
        self.make_clips()
        return [Daemon([self.options.daemon, "--one-off"], self.out)]

    def machine(self):
        vm = Vm(self.out, self.daemons[0].qemu_arguments(video.DEVICE), share=str(self.out),
                daemons=self.daemons)
        self.decoder = video.Decoder(vm, self.out)
        return vm

    def check_driver(self):
        self.decoder.check_driver()

    def make_clips(self):
        self.clips = {}
        if self.options.command:
            return
        folder = self.out / "clips"
        shutil.rmtree(folder, ignore_errors=True)
        for name, codec, size, options in (
                ("h264", "h264", SIZE, "bframes=2 b-adapt=false key-int-max=30"),
                ("vp8", "vp8", SIZE, "keyframe-max-dist=30"),
                ("vp9", "vp9", SIZE, "keyframe-max-dist=30"),
                ("h264-cropped", "h264", (SIZE[0] - 4, SIZE[1] - 4), "bframes=2"),
                ("h264-small", "h264", SMALL, "bframes=0")):
            say(f"this machine encodes a clip: {name}")
            self.clips[name] = video.make(folder, name, codec, size, COUNT, options)
        self.clips["h264-changing"] = video.join(
            folder, "h264-changing", self.clips.pop("h264-small"), self.clips["h264"])

    # -- decoding

    def decode(self, program, clip, command):
        say(f"the guest decodes {clip.name} with {program}")
        frames, seconds = self.decoder.frames(clip, command, timeout=180)
        self.add_row(clip, program, frames, seconds)

    def decode_with_ffmpeg(self, clips):
        say("the guest decodes " + ", ".join(clip.name for clip in clips)
            + " with ffmpeg, all at once (its start takes a while)")
        self.vm.check(self.decoder.ffmpeg(clips), timeout=300)
        for number, clip in enumerate(clips):
            data = video.as_nv12(self.decoder.fetch(f"/tmp/out.{number}"), clip.sizes)
            self.add_row(clip, "ffmpeg", video.checksums(data, clip.sizes))

    def show_all(self):
        """What a clip looks like is taken from v4l2-ctl's pictures, which are the guest's."""
        plain = [self.clips[name] for name in ("h264", "vp8", "vp9")]
        for clip in self.clips.values():
            self.decode("v4l2-ctl", clip, self.decoder.v4l2_ctl(clip) + " && cp /tmp/out.raw /tmp/shown"
                        if clip in plain else self.decoder.v4l2_ctl(clip))
            if clip in plain:
                self.take_pictures(clip)
        for clip in plain:
            self.decode("GStreamer", clip, self.decoder.gstreamer(clip))
        self.decode_with_ffmpeg(plain)
        self.table()

    # -- what came of it

    tiles = ()

    def take_pictures(self, clip):
        frames = list(video.cut(self.decoder.fetch("/tmp/shown"), clip.sizes))
        chosen = [frames[n * (len(frames) - 1) // (ACROSS - 1)] for n in range(ACROSS)]
        self.tiles += (chosen,)

    def sheet(self):
        """All pictures that were taken, a clip a row."""
        width, height = (side // SHRINK for side in SIZE)
        rows = bytearray()
        for line in self.tiles:
            small = [video.to_rgb(frame, *SIZE, SHRINK) for frame in line]
            for y in range(height):
                for rgb in small:
                    rows += rgb[y * width * 3 : (y + 1) * width * 3]
        path = self.out / "video-pictures.png"
        picture.Picture(width * ACROSS, height * len(self.tiles), bytes(rows)).write_png(path)
        return path

    def add_row(self, clip, program, frames, seconds=None):
        """Beside it what this machine needs for the same, both with the program's start."""
        same = sum(a == b for a, b in zip(frames, clip.frames))
        total = len(clip.frames)
        if (same, len(frames)) != (total, total):
            self.wrong = True
            say(f"{clip.name}: {len(frames)} pictures, {same} of {total} the same")
        rates = ("", "")
        if seconds and program == "v4l2-ctl":
            rates = (f"{total / seconds:.0f}", f"{total / clip.seconds:.0f}")
        self.rows.append((clip.name, program, f"{same} of {total}", *rates))

    wrong = False

    def table(self):
        form = "{:15} {:10} {:14} {:>9} {:>14}".format
        print("\n" + form("clip", "decoded by", "pictures same", "frames/s", "here, natively"))
        for row in self.rows:
            print(form(*row))
        print(f"\nthe guest's pictures: {os.path.relpath(self.sheet())}")
        print(flush=True)
        if self.wrong:
            raise VmError("The guest's pictures are not those of this machine.")

    def after_command(self):
        pass


def parse(arguments):
    parser = argparse.ArgumentParser(description="The decoding part of demos/run.")
    demo.add_options(parser)
    parser.add_argument("--daemon", required=True)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(demo.main(VideoDemo, parse(sys.argv[1:])))
