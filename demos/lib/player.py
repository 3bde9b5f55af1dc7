# SPDX-License-Identifier: MIT
"""What a guest plays and records, and what it knows of that itself."""

import collections
import pathlib
import shlex
import statistics

import sound
from vm import VmError

# As aplay and arecord call them.
NAMES = {"U8": "U8", "S16": "S16_LE", "S24_3": "S24_3LE", "S24": "S24_LE", "S32": "S32_LE",
         "FLOAT": "FLOAT_LE"}
STATUS = "/proc/asound/card0/pcm%s/sub0/status"

Sample = collections.namedtuple("Sample", "uptime state delay hw_ptr appl_ptr")


class Played:
    """status: the player's. words: its errors. samples: what the kernel said while
    it played. underruns: how often the guest was too late, by aplay's count."""

    def __init__(self, result):
        self.status, self.words = result.status, result.err.strip()
        self.samples = [parse_sample(line) for line in result.out.splitlines()]
        self.underruns = self.words.count("underrun!!!")

    def delay(self):
        """Frames between what is written and what is heard, as the guest has it
        told: the median; None where it was never asked."""
        told = [sample.delay for sample in self.samples if sample.state == "RUNNING"]
        return statistics.median(told) if told else None


def parse_sample(line):
    uptime, state, *numbers = line.split()
    return Sample(float(uptime), state, *map(int, numbers))


def layout(format, channels):
    """How aplay and arecord are told what is in a file."""
    return ["-t", "raw", "-f", NAMES[format], "-r", "48000", "-c", str(channels)]


class Player:
    """A sound card of a guest whose /share is the folder `share` of ours."""

    def __init__(self, vm, share, card=0):
        self.vm, self.share, self.card = vm, pathlib.Path(share), card

    def check_driver(self):
        cards = self.vm.run("cat /proc/asound/cards").out
        if "virtio" not in cards.lower():
            words = self.vm.run("dmesg | grep -iE 'snd|sound|virtio' | tail -n 6").out
            raise VmError(f"The guest's driver did not take the device.\n{cards}{words}")

    def put(self, wav, name="sound"):
        """Puts a sound into the guest's memory; returns its path there."""
        file = self.share / f"{name}.raw"
        file.write_bytes(wav.data)
        self.vm.check(f"cp /share/{name}.raw /tmp/{name}.raw")
        file.unlink()
        return f"/tmp/{name}.raw"

    def play(self, wav, period=1024, buffer=4096, every=0.5):
        """Plays a sound to its end."""
        command = self.command(wav, self.put(wav), period, buffer)
        return self.watch(command, timeout=30 + 4 * wav.frames / wav.rate, every=every)

    def watch(self, command, timeout, every=0.5):
        """Runs a command that plays on the card."""
        return Played(self.vm.run(f"CARD={self.card} exec /virga/play-sound {every} {command}", timeout))

    def command(self, wav, path, period=1024, buffer=4096):
        """aplay's command that plays a file."""
        return shlex.join(["aplay", "-q", "-D", f"hw:{self.card}", *layout(wav.format, wav.channels),
                           f"--period-size={period}", f"--buffer-size={buffer}", path])

    def record(self, seconds, format="S16", channels=2, period=1024, buffer=4096):
        """What the guest hears in whole seconds."""
        command = shlex.join(["-D", f"hw:{self.card}", *layout(format, channels),
                              f"--period-size={period}", f"--buffer-size={buffer}"])
        self.vm.check(f"arecord -q {command} -d {int(seconds)} /tmp/heard.raw",
                      timeout=30 + 4 * seconds)
        self.vm.check("cp /tmp/heard.raw /share/heard.raw")
        file = self.share / "heard.raw"
        heard = sound.Wav(format, 48000, channels, file.read_bytes())
        file.unlink()
        return heard
