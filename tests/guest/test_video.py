# SPDX-License-Identifier: MIT
"""virga-video in a guest, behind our driver for Linux: pictures that programs of the guest decode are the
same, bit by bit, as those that this machine decodes; and what happens when something ends in between."""

import os
import pathlib
import re
import shutil
import signal
import unittest

import machine
from machine import Daemon, Vm, fresh_folder, testbed, wait_until

import video
from video import Decoder

VIDEO = machine.GPU  # the first argument
DRIVER = "/sys/bus/virtio/drivers/virtio_video"
TIMEOUT = "/sys/module/virtio_video/parameters/timeout"
KEY = 15  # each so many pictures one stands alone
X264 = f"key-int-max={KEY} bitrate=500 bframes=2 b-adapt=false"
VPX = f"keyframe-max-dist={KEY}"
# What the daemon says of a kill, which is right so.
OF_A_KILL = ("part warn: codec ended by signal 9", "part err: codec died")


class VideoTest(unittest.TestCase):
    """Tests that share a daemon, a guest and clips."""

    @classmethod
    def boot(cls):
        cls.logs = fresh_folder(cls.__name__.lower())
        cls.share = cls.logs / "share"
        cls.share.mkdir()
        shutil.copy(machine.BUILD / "tests" / "guest" / "decode", cls.share)
        cls.daemon = Daemon([str(VIDEO)], cls.logs)
        cls.addClassCleanup(cls.daemon.stop)
        cls.daemon.start()
        cls.vm = Vm(cls.logs, cls.daemon.qemu_arguments(video.DEVICE), share=str(cls.share))
        cls.addClassCleanup(cls.vm.stop)
        cls.vm.start()
        cls.decoder = Decoder(cls.vm, cls.share)
        cls.make_clips()
        cls.vm.wait_boot()
        cls.decoder.check_driver()

    @classmethod
    def clip(cls, name, *arguments, **options):
        clip = video.make(cls.share, name, *arguments, **options)
        if len(clip.frames) != sum(count for _, _, count in clip.sizes):
            raise AssertionError(f"{name}: {len(clip.frames)} pictures of {clip.sizes}")
        return clip

    @classmethod
    def make_clips(cls):
        cls.b_frames = cls.clip("b-frames", options=X264)

    def tearDown(self):
        self.daemon.must_live("a test ran")
        self.assertEqual(self.words(), [])

    def words(self, right=()):
        logs = [self.logs / "daemon.log", self.logs / "qemu.log"]
        lines = [line for log in logs for line in log.read_text(errors="replace").splitlines()]
        return [line for line in lines if not line.startswith(right or "\0")]

    def same(self, clip, command):
        frames, _ = self.decoder.frames(clip, command)
        self.check_frames(frames, clip.frames)

    def check_frames(self, frames, expected):
        wrong = [n for n, (a, b) in enumerate(zip(frames, expected)) if a != b]
        self.assertEqual((len(frames), wrong), (len(expected), []))

    def command(self, clip, *words, options=""):
        return (f"/share/decode {options} {video.CODECS[clip.codec].fourcc} "
                f"{self.decoder.there(clip.folder)}/clip.hdr /tmp/out.raw {' '.join(words)}")

    def decode(self, clip, *words, options="", sizes=None):
        """What our own program decodes; sizes: where not all pictures are of the first size."""
        self.vm.check(self.command(clip, *words, options=options), timeout=120)
        return video.checksums(self.decoder.fetch(), sizes or [(*clip.sizes[0][:2], 1000)])

    def spawn_waiting(self, clip, feed=10):
        """One that has decoded some, and waits; what it says is in /run/words."""
        self.vm.run("rm -f /share/go /run/words /run/status")
        self.vm.spawn(f"/share/decode {video.CODECS[clip.codec].fourcc} "
                      f"{self.decoder.there(clip.folder)}/clip.hdr /tmp/waiting.raw "
                      f"feed={feed} wait=/share/go feed=1000 drain >/run/words 2>&1; "
                      "echo $? >/run/status")
        wait_until(lambda: "waiting" in self.said(), 60, "the guest decodes")

    def said(self):
        return self.vm.run("cat /run/words").out

    def ended(self, seconds=60):
        """Its exit status, when it has ended."""
        wait_until(lambda: self.vm.run("test -s /run/status").status == 0, seconds, "its end")
        return int(self.vm.run("cat /run/status").out)


class Decoding(VideoTest):
    @classmethod
    def setUpClass(cls):
        cls.boot()

    @classmethod
    def make_clips(cls):
        super().make_clips()
        cls.plain = cls.clip("plain", options=f"key-int-max={KEY} bframes=0", count=30)
        cls.vp8 = cls.clip("vp8", "vp8", options=VPX)
        cls.vp9 = cls.clip("vp9", "vp9", options=VPX)
        cls.others = [cls.clip(codec, codec, count=30) for codec in ("hevc", "mpeg2", "mpeg4")]
        cls.others.append(cls.clip("cropped", options=X264, size=(316, 236), count=30))
        cls.changes = [
            video.join(cls.share, "h264-changes", cls.plain,
                       cls.clip("h264-small", options=X264, size=(176, 144), count=30),
                       cls.clip("h264-large", options=X264, size=(400, 304), count=20)),
            video.join(cls.share, "vp9-changes", cls.vp9,
                       cls.clip("vp9-large", "vp9", options=VPX, size=(400, 304), count=20)),
        ]

    def test_v4l2_ctl(self):
        for clip in (self.b_frames, self.plain, self.vp8, self.vp9, *self.others, *self.changes):
            with self.subTest(clip=clip.name):
                self.same(clip, self.decoder.v4l2_ctl(clip))

    def test_gstreamer(self):
        for clip in (self.b_frames, self.vp8, self.vp9, *self.changes):
            with self.subTest(clip=clip.name):
                self.same(clip, self.decoder.gstreamer(clip))

    def test_rgb(self):
        for clip in (self.b_frames, self.vp8):
            with self.subTest(clip=clip.name):
                self.vm.check(self.decoder.v4l2_ctl(clip, raw="AR24"), timeout=120)
                bits = video.BITS["BGRA"]
                self.check_frames(video.checksums(self.decoder.fetch(), clip.sizes, bits),
                                  video.decode_here(clip.folder, clip.codec, clip.sizes, "BGRA")[0])

    def test_ffmpeg(self):
        clips = (self.b_frames, self.vp8, self.vp9)
        self.vm.check(self.decoder.ffmpeg(clips), timeout=180)
        for number, clip in enumerate(clips):
            with self.subTest(clip=clip.name):
                data = video.as_nv12(self.decoder.fetch(f"/tmp/out.{number}"), clip.sizes)
                self.check_frames(video.checksums(data, clip.sizes), clip.frames)

    def test_two_at_once(self):
        one, two = (self.decoder.v4l2_ctl(clip, f"/tmp/{clip.name}.raw")
                    for clip in (self.b_frames, self.vp9))
        self.vm.check(f"{one} & {two} && wait $!", timeout=120)
        for clip in (self.b_frames, self.vp9):
            data = self.decoder.fetch(f"/tmp/{clip.name}.raw")
            self.check_frames(video.checksums(data, clip.sizes), clip.frames)

    def compliance(self):
        words = self.vm.run("v4l2-compliance -d /dev/video0 --no-progress -s60 "
                            f"--stream-from-hdr={self.decoder.there(self.b_frames.folder)}/clip.hdr",
                            timeout=120)
        (self.logs / "compliance.txt").write_text(words.out + words.err)
        return words.out

    def test_compliance(self):
        """The units are those of the first format. The program waits for the size after the first one, of
        which no picture comes before others are in: for a second, by the clock, which is too short on a
        busy machine (`ret == 0` of its select()), so it may try again. It warns of a picture that waited
        for a buffer and is in it when QBUF returns, which depends on who is faster."""
        for _ in range(3):
            out = self.compliance()
            if set(re.findall(r"fail: \S+: (.*)", out)) != {"ret == 0"}:
                break
        found = re.search(r"Total for .*: (\d+), Succeeded: (\d+), Failed: (\d+)", out)
        self.assertTrue(found, out)
        self.assertGreaterEqual(int(found[2]), 54)
        self.assertEqual(found[3], "0", out)
        warnings = set(re.findall(r"warn: \S+: (.*)", out))
        self.assertTrue(warnings <= {"QBUF returned the buffer as DONE."}, out)

    def test_change(self):
        """To smaller pictures, and to larger ones."""
        for clip in self.changes:
            with self.subTest(clip=clip.name):
                self.check_frames(self.decode(clip, "feed=1000", "drain", sizes=clip.sizes), clip.frames)

    def test_dmabuf(self):
        """Pictures come into memory that is not the driver's."""
        self.check_frames(self.decode(self.b_frames, "feed=100", "drain", options="--dmabuf"),
                          self.b_frames.frames)

    def test_seek(self):
        """To each picture that stands alone, in turns; what comes then is all that follows."""
        for clip in (self.b_frames, self.vp8):
            with self.subTest(clip=clip.name):
                frames = self.decode(clip, "feed=20", f"seek={2 * KEY}", "feed=5", f"seek={KEY}",
                                     "feed=100", "drain")
                rest = clip.frames[KEY:]
                self.check_frames(frames[-len(rest):], rest)
                self.assertTrue(set(frames) <= set(clip.frames))

    def test_drain(self):
        """Each time all pictures come; decoding goes on in one way or the other."""
        for word in ("start", "restart"):
            with self.subTest(word=word):
                frames = self.decode(self.b_frames, f"feed={KEY}", "drain", word, f"feed={KEY}",
                                     "drain", word, "feed=100", "drain")
                self.check_frames(frames, self.b_frames.frames)


class Interrupted(VideoTest):
    """The codec dies, the driver leaves, and the machine is reset, while the guest decodes."""

    @classmethod
    def setUpClass(cls):
        cls.boot()
        cls.fds = cls.count_fds()

    @classmethod
    def count_fds(cls):
        return len(os.listdir(f"/proc/{cls.daemon.process.pid}/fd"))

    def tearDown(self):
        """It decodes as at the beginning, and nothing is left behind."""
        self.same(self.b_frames, self.decoder.v4l2_ctl(self.b_frames))
        wait_until(lambda: self.count_fds() <= self.fds, 10, f"{self.fds} files, not {self.count_fds()}")
        self.daemon.must_live("a test ran")
        self.assertEqual(self.words(OF_A_KILL), [])

    def parts(self):
        """The processes of streams."""
        found = []
        for status in pathlib.Path("/proc").glob("[0-9]*/status"):
            try:
                words = dict(line.split(":\t", 1) for line in status.read_text().splitlines()
                             if ":\t" in line)
            except OSError:
                continue
            found.append((int(words["Pid"]), int(words["PPid"])))
        nursery = {pid for pid, parent in found if parent == self.daemon.process.pid}
        return {pid for pid, parent in found if parent in nursery}

    def test_codec_killed(self):
        before = self.parts()
        for _ in range(3):
            self.spawn_waiting(self.b_frames)
            victim, = self.parts() - before
            os.kill(victim, signal.SIGKILL)
            self.assertEqual(self.ended(), 1)
            self.assertIn("EIO", self.said())

    def test_program_killed(self):
        self.spawn_waiting(self.b_frames)
        self.vm.run("pkill -9 decode")
        self.assertEqual(self.ended(), 137)

    def test_driver_leaves(self):
        for _ in range(3):
            self.spawn_waiting(self.b_frames)
            self.vm.check(f"name=$(ls {DRIVER} | grep ^virtio[0-9]) && echo $name >{DRIVER}/unbind")
            self.assertEqual(self.ended(), 1)
            self.vm.check("name=$(grep -l 0x001f /sys/bus/virtio/devices/*/device | cut -d/ -f6) && "
                          f"echo $name >{DRIVER}/bind && test -c /dev/video0")

    def test_reset(self):
        self.spawn_waiting(self.b_frames)
        self.vm.reset()


class Killed(VideoTest):
    """The daemon dies, and no other one can take its place, as QEMU does not connect again."""

    @classmethod
    def setUpClass(cls):
        cls.boot()
        cls.vm.check(f"echo 2 >{TIMEOUT}")

    def test_daemon_killed(self):
        """Who decodes is told, and so is who comes later; the guest goes on."""
        self.spawn_waiting(self.b_frames)
        self.daemon.process.kill()
        self.daemon.process.wait()
        self.assertEqual(self.ended(), 1)
        self.assertIn("EIO", self.said())
        words = self.vm.run(self.command(self.b_frames, "feed=1")).err
        self.assertIn("EIO", words)
        self.vm.check("v4l2-ctl -d /dev/video0 --all")

    def tearDown(self):
        pass


del VideoTest
if __name__ == "__main__":
    if not (pathlib.Path(testbed("path", "guest")) / "module.stamp").exists():
        print("skipped: the guest has no driver; demos/testbed module makes it")
        raise SystemExit(77)
    machine.main()
