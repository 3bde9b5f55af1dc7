# SPDX-License-Identifier: MIT
"""One guest with all devices turns a cube and plays a clip; screen and sound become a recording: see demos/run."""

import argparse
import concurrent.futures
import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import time

import clip
import demo
import drawer
import pipewire
import recording
import sound
import video
from daemon import Daemon
from demo import Demo, say
from drawer import Drawer
from player import Player
from vm import Vm, VmError

SIZE = (800, 600)
DEVICES = {"gpu": drawer.DEVICE, "sound": "vhost-user-snd-pci", "video": video.DEVICE}
# What tells that a build has what the show needs: a command, and what it says.
ASKED = {"gpu": ("--print-capabilities", '"virgl"'), "sound": ("--print-capabilities", '"sound"'),
         "video": ("--check", "# h264 ")}


class Show(Demo):
    def run(self):
        self.there = [name for name in DEVICES if self.works(name)]
        if "gpu" not in self.there:
            raise VmError("The build has no virga-gpu with OpenGL (virglrenderer's development files are "
                          "missing?): there is nothing to be seen. ./demos/run gpu --2d shows pictures.")
        for name in set(DEVICES) - set(self.there):
            say(f"the build has no virga-{name} that can be used here: that part is left out")
        # Short cycles are missed where emulation takes the whole machine.
        graph = pipewire.PipeWire(self.out, minimum=1024) if "sound" in self.there else None
        self.frames = self.out / "frames"
        try:
            with graph or contextlib.nullcontext():
                return super().run()
        finally:
            shutil.rmtree(self.frames, ignore_errors=True)

    # -- the parts

    def program(self, name):
        return self.options.build / name / f"virga-{name}"

    def works(self, name):
        asked, right = ASKED[name]
        with contextlib.suppress(OSError):
            return right in subprocess.run([self.program(name), asked], capture_output=True, text=True).stdout
        return False

    def make_daemons(self):
        say("this machine makes a clip meanwhile")
        self.making = concurrent.futures.ThreadPoolExecutor().submit(clip.make, self.out / "clip")
        self.frames.mkdir()
        options = {"gpu": ["--virgl", f"--display=png:{self.frames}", f"--outputs={SIZE[0]}x{SIZE[1]}"],
                   "sound": ["--log=sound:info"], "video": []}
        return [Daemon([self.program(name), "--one-off", *options[name]], self.out / name)
                for name in self.there]

    def machine(self):
        devices = [word for name, daemon in zip(self.there, self.daemons)
                   for word in daemon.qemu_arguments(DEVICES[name])]
        vm = Vm(self.out, devices, share=str(self.out), daemons=self.daemons)
        self.drawer = Drawer(vm, self.out, None, lambda: len(self.daemons[0].frames))
        self.player = Player(vm, self.out) if "sound" in self.there else None
        self.decoder = video.Decoder(vm, self.out) if "video" in self.there else None
        return vm

    def check_driver(self):
        for part in filter(None, (self.drawer, self.player, self.decoder)):
            part.check_driver()

    # -- what is shown

    def show_all(self):
        self.opaque = self.vm.lend(self.options.build / "demos" / "libopaque-screen.so")
        say("the guest turns a cube (its start takes a while)")
        cube = self.drawer.turn_cube()
        self.clip, self.melody = self.making.result()
        # From the other file system 200 files take seconds, and the cube's start has them to spare.
        self.vm.check("cp -r /share/clip /tmp/clip")
        self.rows.append(("GL_RENDERER", self.drawer.renderer()))
        with contextlib.ExitStack() as stack:
            self.heard = stack.enter_context(pipewire.Recorder(
                self.out / "show.wav", target=pipewire.SINK)) if self.player else None
            self.recording = stack.enter_context(recording.Recording(
                self.daemons[0], self.frames, self.heard))
            self.measure_cube(cube)
            if self.player or self.decoder:
                self.play_clip()
        self.finish_recording()
        self.check_recording()
        self.table()

    def measure_cube(self, cube):
        drawn, shown = self.drawer.rates_of_cube(reports=1)
        self.rows.append(("cube", f"{drawn:.1f} frames/s drawn, {shown:.1f} shown"))
        self.vm.end(cube)

    def play_clip(self):
        say(f"the guest plays a clip of {clip.SECONDS} s")
        command = f"/virga/play-clip /tmp/clip {self.opaque} {clip.SIZE[0]} {clip.SIZE[1]} {clip.RATE}"
        timeout = 60 + 10 * clip.SECONDS
        if self.player:
            played = self.player.watch(command, timeout)
            status, self.latency = played.status, played.delay()
        else:
            status = self.vm.run(command, timeout).status
        time.sleep(0.3)  # what is still on its way
        if status:
            said = self.vm.run("tail -n 5 /run/clip.log").out
            raise VmError(f"In the guest, the clip ended with {status}: {said.strip()}")

    # -- what came of it

    wrong = ()

    def finish_recording(self):
        self.path = self.out / "virga-show.webm"
        say("this machine looks at what was recorded")
        self.recording.write(self.path)
        self.seen = recording.look(self.path, sounds=bool(self.heard))

    def check_recording(self):
        if not self.seen.cube:
            self.wrong += ("The recording does not show the cube.",)
        if self.decoder:
            self.check_pictures()
        if self.player:
            self.check_sound()

    def check_pictures(self):
        frames = video.checksums(self.decoder.fetch("/tmp/shown.raw"), self.clip.sizes)
        same = sum(a == b for a, b in zip(frames, self.clip.frames))
        self.rows += [
            ("clip, decoded", f"{len(frames)} pictures, {same} of {clip.COUNT} as this machine decodes them"),
            ("clip, shown", f"{len(self.seen.clip)} pictures are in the recording, "
                            f"{recording.late(self.seen)} of them over 100 ms late")]
        if (len(frames), same) != (clip.COUNT, clip.COUNT):
            self.wrong += ("The guest's pictures are not those of this machine.",)
        if not self.seen.clip:
            self.wrong += ("The recording does not show the clip.",)

    def check_sound(self):
        found = sound.compare(self.melody, sound.read_wav(self.heard.path))
        self.heard.path.unlink()
        exact = "bit-exact" if found.whole() else f"{found.exact} of {found.frames} frames exact"
        latency = f", latency {self.latency / 48:.0f} ms" if self.latency is not None else ""
        self.rows.append(("sound", f"{exact}, {len(found.breaks)} breaks{latency}"))
        if not found.whole():
            self.wrong += (f"The sound broke: {found}",)

    def table(self):
        seen, late = self.seen, recording.offset(self.seen)
        if late is not None:
            self.rows.append(("in time", f"ticks come {abs(late) * 1000:.0f} ms "
                                         f"{'after' if late >= 0 else 'before'} their flashes"))
        self.rows.append(("recording", f"{seen.frames} pictures, {seen.frames / recording.RATE:.1f} s, "
                                       f"{self.path.stat().st_size / 1e6:.1f} MB"))
        print()
        for row in self.rows:
            print("{:15} {}".format(*row))
        print(f"\nthe recording: {os.path.relpath(self.path)}\n", flush=True)
        if self.wrong:
            raise VmError("\n".join(self.wrong))


def parse(arguments):
    parser = argparse.ArgumentParser(description="The show of demos/run.")
    demo.add_options(parser)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(demo.main(Show, parse(sys.argv[1:])))
