# SPDX-License-Identifier: MIT
"""A PipeWire of one's own, with a silent sink and a microphone that others feed:
no sound card, no D-Bus, no session.

    with PipeWire("out") as pipewire:
        recorder = pipewire.record("out/heard.wav")
        ...
        recorder.stop()

While it runs, the environment of this process, and so of all that it starts,
leads to it."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from vm import VmError, scaled

SINK, MICROPHONE = "virga-sink", "virga-microphone"
RATE = 48000
SAMPLES = {"s16": 2, "s32": 4, "f32": 4}  # bytes of a sample, as pw-record names them
MISSED = re.compile(r"client too slow|xrun", re.IGNORECASE)

DAEMON = """# Written by demos/lib/pipewire.py.
context.properties = {
    core.daemon = true
    core.name = pipewire-0
    support.dbus = false
    log.level = 2
    default.clock.rate = 48000
    default.clock.allowed-rates = [ 48000 ]
    default.clock.quantum = %(quantum)d
    default.clock.min-quantum = %(minimum)d
    default.clock.max-quantum = %(maximum)d
}
context.spa-libs = {
    audio.convert.* = audioconvert/libspa-audioconvert
    support.* = support/libspa-support
}
context.modules = [
    { name = libpipewire-module-rt
      args = { rt.prio = 88 rtkit.enabled = false rtportal.enabled = false }
      flags = [ ifexists nofail ] }
    { name = libpipewire-module-protocol-native }
    { name = libpipewire-module-profiler }
    { name = libpipewire-module-metadata }
    { name = libpipewire-module-spa-node-factory }
    { name = libpipewire-module-client-node }
    { name = libpipewire-module-access }
    { name = libpipewire-module-adapter }
    { name = libpipewire-module-link-factory }
    { name = libpipewire-module-session-manager }
]
context.objects = [
    { factory = metadata args = { metadata.name = default } }
    { factory = metadata args = { metadata.name = settings } }
    { factory = adapter args = {
        factory.name = support.null-audio-sink node.name = %(sink)s
        node.description = "A sink that nobody hears" media.class = Audio/Sink
        audio.position = [ FL FR ] audio.rate = 48000 priority.session = 1000
        monitor.channel-volumes = false monitor.passthrough = true } }
    { factory = adapter args = {
        factory.name = support.null-audio-sink node.name = %(microphone)s
        node.description = "A microphone for what is played into it"
        media.class = Audio/Source/Virtual
        audio.position = [ FL FR ] audio.rate = 48000 priority.session = 1000 } }
]
"""

# For WirePlumber 0.4: its policy alone knows no defaults.
DEFAULT_NODES = 'load_module("default-nodes", { ["use-persistent-storage"] = false })\n'


class PipeWire:
    """logs: folder of pipewire.log and wireplumber.log. quantum: frames of a
    cycle where nobody asks for less; nobody gets less than `minimum`."""

    def __init__(self, logs, quantum=1024, minimum=32, maximum=8192):
        self.logs = pathlib.Path(logs)
        self.logs.mkdir(parents=True, exist_ok=True)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="virga-pw."))
        self.config = DAEMON % {"quantum": quantum, "minimum": minimum, "maximum": maximum,
                                "sink": SINK, "microphone": MICROPHONE}
        self.quantum, self.daemon, self.manager = quantum, None, None
        self.before = {}

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_):
        self.stop()

    # -- starting and stopping

    def start(self):
        (self.folder / "run").mkdir(mode=0o700)
        (self.folder / "virga.conf").write_text(self.config)
        policy = self.folder / "config" / "wireplumber" / "policy.lua.d"
        policy.mkdir(parents=True)
        (policy / "20-default-nodes.lua").write_text(DEFAULT_NODES)
        self._enter_environment()
        self.resume()
        return self

    def resume(self):
        """Starts the daemon and its session manager, at first and after kill()."""
        self.daemon = self._spawn("pipewire", "-c", str(self.folder / "virga.conf"),
                                  PIPEWIRE_DEBUG="2,pw.node:3")
        self._await(lambda: answer("pw-cli", "info", "0") is not None, "it answers")
        words = ["-p", "policy"] if _wireplumber_version() >= (0, 5) else ["-c", "policy.conf"]
        self.manager = self._spawn("wireplumber", *words)
        self._await(self._defaults_known, "its session manager has found the sink")

    def kill(self):
        """Ends both at once, as a crash would. Their sockets stay where they are."""
        for process in (self.daemon, self.manager):
            if process:
                process.kill()
                process.wait()
        self.daemon = self.manager = None

    def stop(self):
        for process in (self.manager, self.daemon):
            if process:
                _end(process)
        self.daemon = self.manager = None
        for name, value in self.before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self.before = {}
        shutil.rmtree(self.folder, ignore_errors=True)

    def _enter_environment(self):
        ours = {"XDG_RUNTIME_DIR": self.folder / "run", "XDG_CONFIG_HOME": self.folder / "config",
                "XDG_STATE_HOME": self.folder / "state"}
        for name in ("PIPEWIRE_REMOTE", "PIPEWIRE_RUNTIME_DIR", "PIPEWIRE_CONFIG_DIR",
                     "DBUS_SESSION_BUS_ADDRESS", *ours):
            self.before[name] = os.environ.pop(name, None)
        os.environ.update({name: str(path) for name, path in ours.items()})

    def missed(self):
        """How often a node was too late for its cycle since the beginning, by the
        daemon's words, of which it keeps some back. It is the host that is slow."""
        words = (self.logs / "pipewire.log").read_text(errors="replace")
        return len(MISSED.findall(words))

    def _spawn(self, name, *words, **environment):
        with open(self.logs / f"{name}.log", "ab") as log:
            try:
                return subprocess.Popen([name, *words], stdin=subprocess.DEVNULL, stdout=log,
                                        stderr=log, env={**os.environ, **environment})
            except FileNotFoundError:
                raise VmError(f"{name} is not installed: demos/setup testbed") from None

    def _await(self, true, what):
        deadline = time.monotonic() + scaled(15)
        while not true():
            for process in (self.daemon, self.manager):
                if process and process.poll() is not None:
                    raise VmError(f"{process.args[0]} ended with {process.returncode}; its words "
                                  f"are in {self.logs}")
            if time.monotonic() > deadline:
                raise VmError(f"PipeWire was started, and still not: {what}; see {self.logs}")
            time.sleep(0.05)

    def _defaults_known(self):
        known = answer("pw-metadata", "0") or ""
        return all(f"'default.audio.{kind}'" in known for kind in ("sink", "source"))

    # -- recording and playing

    def record(self, path, **options):
        return Recorder(path, target=SINK, **{"latency": self.quantum, **options})


class Recorder:
    """Writes what the sink plays to a WAV, from the moment it is made. latency:
    frames of a cycle. It should be the usual one: a cycle may become shorter for
    others, but only when the long one that has begun is over."""

    def __init__(self, path, target=None, encoding="s16", latency=1024, channels=2):
        self.path, self.name = pathlib.Path(path), f"virga-recorder-{os.getpid()}"
        self.frame, self.latency = SAMPLES[encoding] * channels, latency
        command = ["pw-record", "--format", encoding, "--rate", str(RATE), "--channels",
                   str(channels), "--latency", str(latency), "-P",
                   "{ stream.capture.sink=true node.name=%s }" % self.name]
        command += ["--target", target] if target else []
        self.process = subprocess.Popen([*command, str(path)], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + scaled(15)
        while not self._runs():
            if self.process.poll() is not None or time.monotonic() > deadline:
                _end(self.process)
                raise VmError(f"pw-record does not record (status {self.process.returncode})")
            time.sleep(0.05)
        self.marks, self.stopped = [], threading.Event()
        self.marking = threading.Thread(target=self._mark, daemon=True)
        self.marking.start()

    def _runs(self):
        return linked(self.name) and self.path.exists() and self.path.stat().st_size > 4096

    def _mark(self):
        """Looks again and again how much is there, and so when it must have begun."""
        while not self.stopped.wait(0.01):
            frames = self.path.stat().st_size / self.frame
            self.marks.append(time.monotonic() - frames / RATE)

    def began(self):
        """When the first frame was played, by time.monotonic(): a cycle's frames come at its beginning."""
        return min(self.marks) + self.latency / RATE

    def stop(self):
        self.stopped.set()
        self.marking.join()
        _end(self.process)
        return self.path

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


@contextlib.contextmanager
def say_into_microphone(path):
    """Plays a WAV into the microphone while in `with`. A session manager links
    no player to a source, so this does."""
    name = f"virga-voice-{os.getpid()}"
    player = subprocess.Popen(["pw-play", "--target", "0", "--latency", "1024", "-P",
                               "{ node.name=%s }" % name, str(path)], stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + scaled(15)
        while (answer("pw-link", "-o") or "").count(f"{name}:output_") < 2:
            if player.poll() is not None or time.monotonic() > deadline:
                raise VmError("nothing can be played into the microphone")
            time.sleep(0.05)
        for side in ("FL", "FR"):
            subprocess.run(["pw-link", f"{name}:output_{side}", f"{MICROPHONE}:input_{side}"],
                           check=True)
        yield
    finally:
        _end(player)


# -- the graph


def objects(kind=None):
    """All that PipeWire has, or only what is of an interface: Node, Link, ..."""
    # A parameter of a newer client's that pw-dump does not know has no name.
    text = re.sub(r"^ {8}\[", '        "": [', answer("pw-dump") or "[]", flags=re.MULTILINE)
    with contextlib.suppress(ValueError):
        found = json.loads(text)
        return [one for one in found
                if kind is None or one.get("type") == f"PipeWire:Interface:{kind}"]
    return []


def properties(one):
    return (one.get("info") or {}).get("props") or {}


def nodes(pattern=""):
    """The nodes whose name matches a pattern."""
    return [node for node in objects("Node")
            if re.search(pattern, properties(node).get("node.name", ""))]


def nodes_of(pid):
    """The nodes that a process has made."""
    every = objects()
    clients = {one["id"] for one in every if one["type"] == "PipeWire:Interface:Client"
               and properties(one).get("application.process.id") == pid}
    return [one for one in every if one["type"] == "PipeWire:Interface:Node"
            and properties(one).get("client.id") in clients]


def linked(name):
    """Whether the node of that name is linked to anything."""
    every = objects()
    ids = {one["id"] for one in every if properties(one).get("node.name") == name}
    return any({info.get("input-node-id"), info.get("output-node-id")} & ids
               for info in (one.get("info") or {} for one in every
                            if one.get("type") == "PipeWire:Interface:Link"))


def session_runs():
    """Whether this process finds a PipeWire that somebody else has started."""
    return answer("pw-cli", "info", "0") is not None


def answer(*command):
    """What a tool prints; None where it fails or there is nobody to ask."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, timeout=scaled(10))
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None


def _wireplumber_version():
    found = re.search(r"(\d+)\.(\d+)\.\d+", answer("wireplumber", "--version") or "")
    return tuple(int(number) for number in found.groups()) if found else (0, 0)


def _end(process):
    """By SIGTERM: a background job is deaf to SIGINT."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(scaled(5))
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
