# SPDX-License-Identifier: MIT
"""Plays and records in a guest by virga-sound and looks at each frame: see demos/run."""

import argparse
import contextlib
import os
import pathlib
import sys
import time

import demo
import peer
import pipewire
import sound
from daemon import Daemon
from demo import Demo, say
from peer import PeerVm
from player import Player
from vm import Vm, VmError

SECONDS = 10
PERIOD, BUFFER = 1024, 4096


class SoundDemo(Demo):
    def run(self):
        with self.graph():
            return super().run()

    # -- the parts

    def graph(self):
        """PipeWire of our own, unless there is one to hear, or none is needed."""
        self.recorded = self.options.backend == "pipewire"
        if not self.recorded:
            return contextlib.nullcontext()
        if self.options.session:
            if not pipewire.session_runs():
                raise VmError("--session: no PipeWire answers here. Is XDG_RUNTIME_DIR set?")
            return contextlib.nullcontext()
        # Short cycles are missed where emulation takes the whole machine.
        return pipewire.PipeWire(self.out, minimum=1024)

    def make_daemons(self):
        """None where QEMU's own device is in the place of ours."""
        command = [self.options.daemon, "--one-off", "--log=sound:info"]
        command += [f"--backend={self.options.backend}"]
        return [] if self.options.peer else [Daemon(command, self.out)]

    def machine(self):
        if self.options.peer:
            vm = PeerVm(self.out, peer.devices(), share=str(self.out))
        else:
            vm = Vm(self.out, self.daemons[0].qemu_arguments("vhost-user-snd-pci"),
                    share=str(self.out), daemons=self.daemons)
        self.player = Player(vm, self.out)
        return vm

    def check_driver(self):
        self.player.check_driver()

    # -- playing

    @contextlib.contextmanager
    def recording(self, name):
        """Records what is played within; the path of the WAV."""
        path = self.out / f"sound-{name}.wav"
        target = {} if self.options.session else {"target": pipewire.SINK}
        if not self.recorded:
            yield None
        else:
            with pipewire.Recorder(path, **target):
                yield path
                time.sleep(0.3)  # what is still on its way

    def play(self, name, wav):
        with self.recording(name) as path:
            played = self.player.play(wav, PERIOD, BUFFER)
        if played.status:
            raise VmError(f"In the guest, aplay ended with {played.status}: {played.words}")
        return played, path or self.written()

    def written(self):
        """The newest WAV of the daemon's own, where it writes any."""
        kind, _, folder = self.options.backend.partition(":")
        files = pathlib.Path(folder).glob("stream0-*.wav") if kind == "file" else ()
        return max(files, key=lambda path: path.stat().st_mtime, default=None)

    def play_noise(self):
        say(f"the guest plays {SECONDS} s of noise, each frame of which is looked for")
        wav = sound.noise(SECONDS)
        played, path = self.play("noise", wav)
        self.add_row("noise played", path, wav, played)

    def play_melody(self):
        say("the guest plays a melody")
        played, path = self.play("melody", sound.melody())
        self.add_row("melody played", path, None, played)

    def record_noise(self):
        """Played into the microphone that our own PipeWire has."""
        say("the guest records noise from its microphone")
        wav, path = sound.noise(SECONDS / 2, seed="microphone"), self.out / "sound-said.wav"
        sound.write_wav(path, sound.with_silence(wav, 1, 0.5))
        with pipewire.say_into_microphone(path):
            heard = self.player.record(SECONDS)
        path.unlink()
        path = self.out / "sound-microphone.wav"
        sound.write_wav(path, heard)
        self.add_row("noise recorded", path, wav)

    def show_all(self):
        self.play_noise()
        self.play_melody()
        if self.recorded and not self.options.session and not self.options.peer:
            self.record_noise()
        self.table()

    # -- what came of it

    def add_row(self, what, path, wav=None, played=None):
        """wav: the sound that has to be in the file, frame by frame."""
        exact = breaks = ""
        if wav and path:
            found = sound.compare(wav, sound.read_wav(path))
            cut = PERIOD if played is None else 0
            exact, breaks = "yes" if found.whole(cut) else "no", str(len(found.breaks))
            if exact == "no":
                say(f"{what}: {found}")
        underruns = latency = ""
        if played:
            underruns = str(played.underruns)
            latency = f"{played.delay() / 48:.1f} ms" if played.delay() is not None else ""
        self.rows.append((what, exact, breaks, underruns, latency,
                          os.path.relpath(path) if path else ""))

    def table(self):
        form = "{:18} {:10} {:7} {:10} {:10} {}".format
        print("\n" + form("in the guest", "bit-exact", "breaks", "underruns", "latency", "sound"))
        for row in self.rows:
            print(form(*row))
        print(flush=True)

    def run_command(self):
        with self.recording("last") as path:
            status = super().run_command()
        if path:
            say(f"what it played: {os.path.relpath(path)}")
        return status

    def after_command(self):
        pass


def parse(arguments):
    parser = argparse.ArgumentParser(description="The sounding part of demos/run.")
    demo.add_options(parser)
    parser.add_argument("--daemon", required=True)
    parser.add_argument("--backend", default="pipewire")
    for flag in ("--session", "--peer"):
        parser.add_argument(flag, action="store_true")
    options = parser.parse_args(arguments)
    kind, _, folder = options.backend.partition(":")
    if kind == "file":
        folder = pathlib.Path(folder).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        options.backend = f"file:{folder}"
    return options


if __name__ == "__main__":
    sys.exit(demo.main(SoundDemo, parse(sys.argv[1:])))
