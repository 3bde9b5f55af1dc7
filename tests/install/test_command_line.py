# SPDX-License-Identifier: MIT
"""Wrong use of the command line, and its answers, by a real process."""

import json
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import xml.etree.ElementTree

import bed  # where to find the next one
import pipewire
import daemon
from daemon import as_ordinary_user

RUNTIME, USAGE, IMPOSSIBLE = 1, 2, 69


class Refused(daemon.DaemonTest):
    """One line on standard error, nothing on standard output, and a status."""

    def refused(self, status, words, *arguments, before=()):
        done = self.run_program(*arguments, before=before)
        with self.subTest(arguments=arguments):
            self.assertEqual(done.stdout, "")
            self.assertRegex(done.stderr, rf"\A{self.ABOUT.name}: [^\n]+\n\Z")
            self.assertIn(words, done.stderr)
            self.assertEqual(done.returncode, status, done.stderr)


class Refusals(Refused):
    def test_no_arguments(self):
        self.refused(USAGE, "give --socket-path=PATH")

    def test_unknown_options(self):
        at = f"--socket-path={self.socket}"
        self.refused(USAGE, "no such option: --bogus;", at, "--bogus")
        self.refused(USAGE, "no such option: --bogus=3;", "--bogus=3", at)
        self.refused(USAGE, "no such option: -x;", at, "-x")
        self.refused(USAGE, "no such option: -x;", at, "-xv")
        self.refused(USAGE, "no such option: -x;", at, "-vx")
        self.refused(USAGE, "vm.sock: not an option", "vm.sock")

    def test_values_in_vain_and_missing(self):
        self.refused(USAGE, "--one-off=1: this option takes no value", "--one-off=1")
        self.refused(USAGE, "--help=all: this option takes no value", "--help=all")
        for option in ("--socket-path", "--fd", "--log", "--seccomp", *self.ABOUT.bad):
            self.refused(USAGE, f"{option} needs a value", option)

    def test_both_ways_to_serve(self):
        self.refused(USAGE, "not both", f"--socket-path={self.socket}", "--fd=3")

    def test_bad_values(self):
        bad = {
            "--fd": ["", "x", "-1", "3x", "99999999999"],
            "--log": ["", "loud", "gpu:", ":info", "info,", "gpu:loud"],
            "--seccomp": ["", "auto", "KILL", "kill,log"],
            "--socket-path": [""],
            **self.ABOUT.bad,
        }
        for option, values in bad.items():
            for value in values:
                self.refused(USAGE, f"{option}={value}: not understood", f"{option}={value}",
                             f"--socket-path={self.socket}")
        self.refused(USAGE, "it is qemu or libvirt", "--check=xen")
        self.assertFalse(self.socket.exists())

    def test_socket_in_use(self):
        with self.serve() as first:
            self.refused(RUNTIME, "another process serves this socket", f"--socket-path={self.socket}")
            daemon.ask_at(self.socket)
            self.assertEqual(first.end(), 0)

    def test_no_permission(self):
        closed = self.folder.closed()
        self.refused(RUNTIME, "no permission", f"--socket-path={closed}/vm.sock",
                     before=as_ordinary_user())
        if self.ABOUT.files:
            self.refused(RUNTIME, "choose a folder that you may write to", f"{self.ABOUT.files}{closed}/files",
                         f"--socket-path={self.socket}", before=as_ordinary_user())

    def test_no_folder(self):
        missing = self.folder.path / "missing"
        self.refused(RUNTIME, "its folder does not exist", f"--socket-path={missing}/vm.sock")
        if self.ABOUT.files:
            self.refused(RUNTIME, "choose a folder", f"{self.ABOUT.files}{missing}/files",
                         f"--socket-path={self.socket}")

    def test_a_file_in_the_way(self):
        self.socket.write_text("precious")
        self.refused(RUNTIME, "a file that is no socket is there", f"--socket-path={self.socket}")
        self.assertEqual(self.socket.read_text(), "precious")
        self.refused(RUNTIME, "a file that is no socket", f"--socket-path={self.folder.path}")

    def test_long_path(self):
        self.refused(RUNTIME, "choose a shorter one", "--socket-path=/tmp/" + "a" * 104)

    def test_no_stream_socket(self):
        self.refused(RUNTIME, "it must be an open stream socket", "--fd=0")
        self.refused(RUNTIME, "it must be an open stream socket", "--fd=99")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            done = subprocess.run([self.program, f"--fd={sock.fileno()}"], pass_fds=[sock.fileno()],
                                  capture_output=True, text=True, timeout=daemon.scaled(10))
        self.assertEqual((done.returncode, done.stderr.count("\n")), (RUNTIME, 1), done.stderr)


class RefusalsOfGpu(Refused):
    ONLY = daemon.GPU

    def test_no_gpu(self):
        """Said by the daemon, before any renderer is started."""
        if '"virgl"' not in self.run_program("--print-capabilities").stdout:
            self.skipTest("it was built without virglrenderer")
        at = f"--socket-path={self.socket}"
        node = self.folder.path / "renderD128"
        self.refused(IMPOSSIBLE, "there is no such GPU", "--virgl", f"--render-node={node}", at)
        self.refused(IMPOSSIBLE, "no GPU's", "--virgl", "--render-node=/dev/null", at)
        node.write_text("")
        node.chmod(0)
        self.refused(IMPOSSIBLE, "you may not use it; its group may", "--virgl", at,
                     f"--render-node={node}", before=as_ordinary_user())
        self.refused(USAGE, "add --virgl", "--scanout=dmabuf", at)


class RefusalsOfSound(Refused):
    ONLY = daemon.SOUND

    def test_no_device(self):
        self.refused(USAGE, "no device is left", "--playback=0", "--capture=0",
                     f"--socket-path={self.socket}")

    def test_values_in_vain(self):
        for option in ("--controls", "--jacks"):
            self.refused(USAGE, "this option takes no value", f"{option}=on")


class RefusalsOfVideo(Refused):
    ONLY = daemon.VIDEO

    def test_not_there_yet(self):
        at = f"--socket-path={self.socket}"
        self.refused(IMPOSSIBLE, "there is no encoder yet", "--device=encoder", at)
        self.refused(IMPOSSIBLE, "--dialect=arcvm: there is no such dialect yet", "--dialect=arcvm", at)
        self.refused(IMPOSSIBLE, "--dialect=android: there is no such dialect yet", "--dialect=android", at)
        self.refused(IMPOSSIBLE, "--codecs: av1", "--codecs=av1", at)
        self.refused(USAGE, "add --seccomp=none", "--isolate=none", at)
        self.assertFalse(self.socket.exists())


class Answers(daemon.DaemonTest):
    """What is asked of it is on standard output, and nothing else anywhere."""

    def answer(self, *arguments):
        done = self.run_program(*arguments)
        self.assertEqual((done.returncode, done.stderr), (0, ""), arguments)
        return done.stdout

    def test_version(self):
        self.assertRegex(self.answer("--version"), rf"\A{self.ABOUT.name} \d+\.\d+\.\d+\n\Z")

    def test_help(self):
        text = self.answer("--help")
        self.assertTrue(text.startswith(f"Usage: {self.ABOUT.name} "), text)
        self.assertTrue(text.endswith("\n"))
        self.assertLessEqual(max(map(len, text.splitlines())), 80)
        self.assertEqual(self.answer("-h"), text)

    def test_capabilities(self):
        text = self.answer("--print-capabilities")
        said = json.loads(text)
        self.assertEqual(said["type"], self.ABOUT.type)
        self.assertLessEqual(set(said["features"]), self.ABOUT.features)
        for others in (["--socket-path=/nowhere/vm.sock"], ["--bogus", "--fd=x"], ["--version"], ["word"]):
            self.assertEqual(self.answer(*others, "--print-capabilities"), text)
            self.assertEqual(self.answer("--print-capabilities", *others), text)


class Check(daemon.DaemonTest):
    """--check, with lines whatever it finds."""

    def checks(self, status, words, *more):
        """The lines for both, for QEMU and for libvirt, without what is said of this host."""
        found = []
        for option in ("--check", "--check=qemu", "--check=libvirt"):
            done = self.run_program(*more, option)
            self.assertEqual((done.returncode, done.stderr), (status, self.ABOUT.says if status else ""))
            self.assertRegex(done.stdout, rf"\A{words}")
            found.append(done.stdout.removeprefix(re.match(words, done.stdout)[0]))
        both, qemu, libvirt = found
        self.assertEqual(both, qemu + libvirt)
        self.assertIn(self.ABOUT.device, qemu)
        self.assertIn(str(self.program), qemu)
        self.assertNotIn("qemu-system", libvirt)
        end = "</domain>" if "\n<domain " in libvirt else ""  # more of it follows
        elements = xml.etree.ElementTree.fromstring(f"<all>{libvirt}{end}</all>")
        self.assertIsNotNone(elements.find(".//memoryBacking/access[@mode='shared']"))
        return qemu, elements


class CheckGpu(Check):
    ONLY = daemon.GPU

    def test_check(self):
        _, elements = self.checks(0, "")
        self.assertIsNotNone(elements.find("video/driver[@name='vhostuser']"))


AWAY = r"# PipeWire does not answer: .*\n# .*\n"


class CheckSound(Check):
    ONLY = daemon.SOUND
    NAMESPACE = "{http://libvirt.org/schemas/domain/qemu/1.0}"

    def test_without_pipewire(self):
        qemu, elements = self.checks(RUNTIME, AWAY)
        self.assertNotIn("--controls", qemu)
        words = [e.get("value") for e in elements.iter(f"{self.NAMESPACE}arg")]
        self.assertEqual(words[0::2], ["-chardev", "-device"])
        self.assertTrue(words[3].startswith(self.ABOUT.device), words)

    def test_with_controls(self):
        """Both ends are told of them."""
        qemu, _ = self.checks(RUNTIME, AWAY, "--controls")
        self.assertRegex(qemu, r"(?m)virga-sound.* --controls &$")
        self.assertRegex(qemu, rf"{self.ABOUT.device},\S*controls=on")

    def test_with_pipewire(self):
        if not all(shutil.which(name) for name in ("pipewire", "wireplumber", "pw-cli", "pw-metadata")):
            self.skipTest("pipewire and wireplumber are not here")
        with pipewire.PipeWire(self.folder.path / "logs"):
            self.checks(0, rf"# PipeWire [\d.]+ answers; to play to: .*{pipewire.SINK}.*; "
                           rf"to record from: .*{pipewire.MICROPHONE}.*\n")


class CheckVideo(Check):
    ONLY = daemon.VIDEO

    def test_check(self):
        """What works is said, line by line, with the element that does it."""
        qemu = self.run_program("--check=qemu")
        self.assertEqual((qemu.returncode, qemu.stderr), (0, ""))
        said = re.findall(r"(?m)^# (\w+) +(by \w+|not here)", qemu.stdout)
        self.assertEqual([name for name, _ in said], ["h264", "hevc", "vp8", "vp9", "mpeg2", "mpeg4"])
        self.assertIn(("vp8", "by vp8dec"), said)
        libvirt = self.run_program("--check=libvirt").stdout
        self.assertEqual(self.run_program("--check").stdout, qemu.stdout + libvirt)
        self.assertIn(f"{self.ABOUT.device},virtio-id=31,num_vqs=2", qemu.stdout)
        self.assertIn(str(self.program), qemu.stdout)
        elements = xml.etree.ElementTree.fromstring(f"<all>{libvirt}</domain></all>")
        self.assertIsNotNone(elements.find(".//memoryBacking/access[@mode='shared']"))

    def test_nothing_to_decode_with(self):
        """GStreamer has no plugins here: that is said, and what to do."""
        nowhere = {"GST_PLUGIN_SYSTEM_PATH_1_0": str(self.folder.path), "GST_PLUGIN_PATH_1_0": "",
                   "GST_REGISTRY_1_0": str(self.folder.path / "registry")}
        before = ["env", *(f"{name}={value}" for name, value in nowhere.items())]
        done = self.run_program("--check=qemu", before=before)
        self.assertEqual(done.returncode, RUNTIME)
        self.assertIn("# Nothing can be decoded here: install", done.stdout)
        done = self.run_program(f"--socket-path={self.socket}", before=before)
        self.assertEqual((done.returncode, done.stdout), (IMPOSSIBLE, ""))
        self.assertRegex(done.stderr, r"\Avirga-video: nothing can be decoded here; install [^\n]+\n\Z")


class Life(daemon.DaemonTest):
    def test_ends_by_signals(self):
        for sig in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(signal=sig), self.serve() as d:
                self.assertEqual(d.end(sig), 0)
                self.assertFalse(self.socket.exists())
                out, err = d.process.communicate()
                self.assertEqual(out, "")
                self.assertIn(err, ("", self.ABOUT.says))

    def test_ends_while_serving(self):
        with self.serve() as d, socket.socket(socket.AF_UNIX) as front_end:
            front_end.connect(str(self.socket))
            daemon.ask_features(front_end)
            self.assertEqual(d.end(), 0)
            self.assertFalse(self.socket.exists())
            self.assertEqual(front_end.recv(1), b"")

    def test_serves_one_after_another(self):
        with self.serve() as d:
            self.assertEqual(len({daemon.ask_at(self.socket) for _ in range(20)}), 1)
            self.assertEqual(d.end(), 0)

    def test_one_off(self):
        with self.serve("--one-off") as d:
            daemon.ask_at(self.socket)
            self.assertEqual(d.status(), 0)
            self.assertFalse(self.socket.exists())

    def test_replaces_a_dead_socket(self):
        with self.serve("--seccomp=none") as d:
            self.assertEqual(d.end(signal.SIGKILL), -signal.SIGKILL)
        self.assertTrue(self.socket.exists())
        with socket.socket(socket.AF_UNIX) as probe:
            self.assertRaises(ConnectionRefusedError, probe.connect, str(self.socket))
        with daemon.Daemon(self.program, f"--socket-path={self.socket}") as d:
            daemon.wait_for(lambda: daemon.answers_at(self.socket), "a new socket in its place")
            self.assertEqual(d.end(), 0)

    def test_its_socket_goes_with_it(self):
        with self.serve() as d:
            daemon.ask_at(self.socket)
            self.assertEqual(d.end(signal.SIGKILL), -signal.SIGKILL)
            daemon.wait_for(lambda: not self.socket.exists(), "the socket's end")

    def test_sandboxes(self):
        for mode in ("kill", "trap", "log", "none"):
            with self.subTest(mode=mode), self.serve(f"--seccomp={mode}") as d:
                daemon.ask_at(self.socket)
                status = pathlib.Path(f"/proc/{d.process.pid}/status").read_text()
                self.assertIn(f"\nSeccomp:\t{0 if mode == 'none' else 2}\n", status)
                self.assertEqual(d.end(), 0)
                self.assertFalse(self.socket.exists())

    def test_as_an_ordinary_user(self):
        own = self.folder.path / "own"
        own.mkdir(mode=0o777)
        own.chmod(0o777)
        path = own / "vm.sock"
        with daemon.Daemon(*as_ordinary_user(), self.program, f"--socket-path={path}") as d:
            d.wait_listening(path)
            daemon.ask_at(path)
            self.assertEqual(d.end(), 0)
            self.assertFalse(path.exists())

    def test_leaves_its_folder_empty(self):
        files, left = self.folder.path / "files", {self.ABOUT.name}
        with self.serve(*([f"{self.ABOUT.files}{files}"] if self.ABOUT.files else [])) as d:
            self.assertEqual(d.end(), 0)
        if self.ABOUT.files:
            self.assertEqual(list(files.iterdir()), [])
            left.add("files")
        self.assertEqual({p.name for p in self.folder.path.iterdir()}, left)


if __name__ == "__main__":
    daemon.main()
