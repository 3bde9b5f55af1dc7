# SPDX-License-Identifier: MIT
"""Clips made on the spot by GStreamer, what this machine makes of them, and a guest that decodes them.

A clip lies in a folder as its units (what goes into a decoder at once, one file each) and as a file
for players; FRAMES are checksums of its pictures, each as NV12 without padding.
"""

import collections
import hashlib
import pathlib
import shlex
import struct
import subprocess
import time

from vm import VmError

# For a codec: V4L2's name, the caps of units, encoder, parser and decoder of the host, FFmpeg's
# decoder of the guest, what a player's file is called.
Codec = collections.namedtuple("Codec", "fourcc caps encoder decoder ffmpeg suffix")
CODECS = {
    "h264": Codec("H264", "video/x-h264,stream-format=byte-stream,alignment=au", "x264enc threads=1",
                  "h264parse ! avdec_h264", "h264_v4l2m2m", "h264"),
    "hevc": Codec("HEVC", "video/x-h265,stream-format=byte-stream,alignment=au",
                  "x265enc option-string=pools=1:frame-threads=1",
                  "h265parse ! avdec_h265", "hevc_v4l2m2m", "h265"),
    "vp8": Codec("VP80", "video/x-vp8,profile=(string)0", "vp8enc deadline=1",
                 "vp8dec", "vp8_v4l2m2m", "ivf"),
    "vp9": Codec("VP90", "video/x-vp9,profile=(string)0", "vp9enc deadline=1 cpu-used=8",
                 "vp9dec", "vp9_v4l2m2m", "ivf"),
    "mpeg2": Codec("MPG2", "video/mpeg,mpegversion=2,systemstream=(boolean)false",
                   "mpeg2enc format=3 ! mpegvideoparse", "mpegvideoparse ! avdec_mpeg2video",
                   "mpeg2_v4l2m2m", "m2v"),
    "mpeg4": Codec("MPG4", "video/mpeg,mpegversion=4,systemstream=(boolean)false",
                   "avenc_mpeg4 ! mpeg4videoparse config-interval=-1",
                   "mpeg4videoparse ! avdec_mpeg4", "mpeg4_v4l2m2m", "m4v"),
}
RATE = 30
BITS = {"NV12": 12, "BGRA": 32}  # of a pixel
DEVICE = "vhost-user-test-device-pci,virtio-id=31,num_vqs=2,vq_size=256,config_size=12"

Clip = collections.namedtuple("Clip", "name codec sizes folder frames seconds")
Clip.__doc__ = """sizes: (width, height, number of frames) of each part. frames: their checksums.
seconds: what the host took to decode it."""
Clip.path = property(lambda clip: clip.folder / f"clip.{CODECS[clip.codec].suffix}")


def gst(*words):
    """Runs a pipeline of this machine's; gives the seconds that it took."""
    line = ["gst-launch-1.0", "-q", *shlex.split(" ".join(map(str, words)))]
    started = time.monotonic()
    try:
        done = subprocess.run(line, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise VmError("There is no gst-launch-1.0: install gstreamer1.0-tools.") from None
    if done.returncode:
        last = (done.stderr.strip() or "nothing said").splitlines()[-1]
        raise VmError(f"{shlex.join(line)} ended with {done.returncode}: {last}")
    return time.monotonic() - started


# -- making them


def make(folder, name, codec="h264", size=(320, 240), count=40, options="", pattern="smpte"):
    """A clip of moving bars; options: the encoder's."""
    folder = pathlib.Path(folder) / name
    folder.mkdir(parents=True)
    words = CODECS[codec]
    encoder, *rest = words.encoder.split(" ! ")
    chain = " ! ".join([f"{encoder} {options}", *rest])
    gst(f"videotestsrc num-buffers={count} pattern={pattern} horizontal-speed=3 !"
        f" video/x-raw,format=I420,width={size[0]},height={size[1]},framerate={RATE}/1 ! {chain} !"
        f" {words.caps} ! multifilesink location={folder}/%05d")
    return clip_of(folder, name, codec, [(*size, count)])


def clip_of(folder, name, codec, sizes):
    """The clip whose units lie in a folder."""
    frames, seconds = decode_here(folder, codec, sizes)
    return finish(Clip(name, codec, sizes, folder, frames, seconds))


def join(folder, name, *clips):
    """One clip after the other, as one: of the same codec, and perhaps of different sizes."""
    folder = pathlib.Path(folder) / name
    folder.mkdir(parents=True)
    units = [path for clip in clips for path in units_of(clip.folder)]
    for number, path in enumerate(units):
        (folder / f"{number:05d}").write_bytes(path.read_bytes())
    return finish(Clip(name, clips[0].codec, [s for clip in clips for s in clip.sizes], folder,
                       [f for clip in clips for f in clip.frames],
                       sum(clip.seconds for clip in clips)))


def units_of(folder):
    return sorted(folder.glob("[0-9]" * 5))


def finish(clip):
    """Writes the files of a clip that are made of its units."""
    units = [path.read_bytes() for path in units_of(clip.folder)]
    with open(clip.folder / "clip.hdr", "wb") as file:  # as v4l2-ctl --stream-from-hdr has it
        for unit in units:
            file.write(b"rdhV" + struct.pack(">I", len(unit)) + unit)
    with open(clip.path, "wb") as file:
        if clip.path.suffix == ".ivf":
            file.write(struct.pack("<4sHH4sHHIIII", b"DKIF", 0, 32, CODECS[clip.codec].fourcc.encode(),
                                   *clip.sizes[0][:2], RATE, 1, len(units), 0))
        for number, unit in enumerate(units):
            if clip.path.suffix == ".ivf":
                file.write(struct.pack("<IQ", len(unit), number))
            file.write(unit)
    return clip


def decode_here(folder, codec, sizes, raw="NV12"):
    """Checksums of what this machine decodes, and the seconds that it took."""
    words, out = CODECS[codec], folder / "here.raw"
    width, height, _ = sizes[0]
    seconds = gst(f"multifilesrc location={folder}/%05d",
                  f'caps="{words.caps},width={width},height={height},framerate={RATE}/1" !',
                  f"{words.decoder} ! videoconvert ! video/x-raw,format={raw} ! filesink location={out}")
    data = out.read_bytes()
    out.unlink()
    return checksums(data, sizes, BITS[raw]), seconds


# -- what pictures are


def cut(data, sizes, bits=12):
    """The pictures in a file, of the sizes that they must have; what is left over is one more."""
    at = 0
    for width, height, count in sizes:
        for _ in range(count):
            if at < len(data):
                yield data[at : at + width * height * bits // 8]
            at += width * height * bits // 8
    if at < len(data):
        yield data[at:]


def checksums(data, sizes, bits=12):
    return [hashlib.md5(frame).hexdigest() for frame in cut(data, sizes, bits)]


def as_nv12(data, sizes):
    """Pictures of three planes as ones of two."""
    out = []
    for frame, (width, height) in zip(cut(data, sizes), (s[:2] for s in sizes for _ in range(s[2]))):
        luma, chroma = width * height, bytearray(width * height // 2)
        chroma[0::2] = frame[luma : luma * 5 // 4]
        chroma[1::2] = frame[luma * 5 // 4 : luma * 3 // 2]
        out.append(frame[:luma] + bytes(chroma))
    return b"".join(out)


def to_rgb(frame, width, height, shrink=1):
    """A picture of NV12 in RGB bytes, each so many pixels one."""
    rgb, luma = bytearray(), width * height
    for y in range(0, height - height % shrink, shrink):
        row = frame[y * width : y * width + width]
        chroma = frame[luma + y // 2 * width :][:width]
        for x in range(0, width - width % shrink, shrink):
            u, v = chroma[x & ~1] - 128, chroma[x | 1] - 128
            light = 1.164 * (row[x] - 16)
            for value in (light + 1.596 * v, light - 0.813 * v - 0.391 * u, light + 2.018 * u):
                rgb.append(0 if value < 0 else 255 if value > 255 else int(value))
    return bytes(rgb)


# -- the guest


class Decoder:
    """A guest's decoder. `share` is the folder of ours that is its /share, and clips lie in it."""

    def __init__(self, vm, share):
        self.vm, self.share = vm, pathlib.Path(share)

    def check_driver(self):
        if self.vm.run("test -c /dev/video0").status:
            words = self.vm.run("dmesg | grep -iE 'video|virtio' | tail -n 6").out
            raise VmError(f"The guest's driver did not take the device.\n{words}")

    def there(self, path):
        """A file of ours as the guest has it."""
        return shlex.quote(f"/share/{pathlib.Path(path).relative_to(self.share)}")

    def v4l2_ctl(self, clip, out="/tmp/out.raw", raw="NV12"):
        """v4l2-ctl's command that decodes a clip; raw: V4L2's name of the pictures' format."""
        width, height, _ = clip.sizes[0]
        return (f"v4l2-ctl --silent -d /dev/video0 --set-fmt-video-out="
                f"width={width},height={height},pixelformat={CODECS[clip.codec].fourcc} "
                f"--set-fmt-video=pixelformat={raw} "
                f"--stream-mmap --stream-out-mmap --stream-from-hdr={self.there(clip.folder)}/clip.hdr "
                f"--stream-to={out}")

    def gstreamer(self, clip, out="/tmp/out.raw"):
        words, (width, height, _) = CODECS[clip.codec], clip.sizes[0]
        caps = shlex.quote(f"{words.caps},width={width},height={height},framerate={RATE}/1")
        name = "h265" if clip.codec == "hevc" else clip.codec
        return (f"gst-launch-1.0 -q multifilesrc location={self.there(clip.folder)}/%05d "
                f"caps={caps} ! v4l2{name}dec ! video/x-raw,format=NV12 ! filesink location={out}")

    def ffmpeg(self, clips, out="/tmp/out"):
        """All at once, as its start takes long; pictures of three planes are in OUT.0, OUT.1, ..."""
        sources = " ".join(f"-c:v {CODECS[clip.codec].ffmpeg} -i {self.there(clip.path)}" for clip in clips)
        sinks = " ".join(f"-map {n} -fps_mode passthrough -f rawvideo -pix_fmt yuv420p {out}.{n}"
                         for n in range(len(clips)))
        return f"ffmpeg -nostdin -hide_banner -v warning -y {sources} {sinks}"

    def fetch(self, path="/tmp/out.raw"):
        """The bytes of a file in the guest."""
        self.vm.check(f"cp {path} /share/fetched && rm {path}")
        data = (self.share / "fetched").read_bytes()
        (self.share / "fetched").unlink()
        return data

    def frames(self, clip, command, timeout=120):
        """Checksums of what a command decodes, and the seconds that it took in the guest."""
        words = self.vm.check("read -r a _ </proc/uptime; "
                              f"{command} || exit 1; read -r b _ </proc/uptime; echo TOOK $a $b", timeout)
        began, ended = map(float, words.rsplit("TOOK", 1)[1].split())
        return checksums(self.fetch(), clip.sizes), ended - began
