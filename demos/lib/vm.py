# SPDX-License-Identifier: MIT
"""A guest in QEMU: starts it, runs commands in it, looks at its screen.

    with Vm(logs="out", devices=["-device", "virtio-gpu-pci"]) as vm:
        vm.wait_boot()
        print(vm.run("uname -a").out)
        vm.screendump("out/screen.png")
"""

import base64
import collections
import json
import os
import pathlib
import secrets
import select
import socket
import subprocess
import tempfile
import threading
import time

import picture

DEMOS = pathlib.Path(__file__).resolve().parent.parent
TESTBED = str(DEMOS / "testbed")
# What QEMU may say on stderr before it counts as gone mad: with a dead
# back-end it prints the same line as fast as it can.
STDERR_LIMIT = 1 << 20

Result = collections.namedtuple("Result", "status out err")


class VmError(Exception):
    """What went wrong, in words for the person at the terminal."""


def scaled(seconds):
    """Time limits are generous; VIRGA_TIMEOUT_SCALE makes them more so."""
    return seconds * float(os.environ.get("VIRGA_TIMEOUT_SCALE", "1"))


def testbed(*arguments):
    """What demos/testbed prints, without the newline."""
    return subprocess.run(
        [TESTBED, *arguments], check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()


def accelerator():
    """QEMU's arguments for KVM where it works, else for emulation."""
    choice = os.environ.get("VIRGA_ACCEL", "")
    if choice not in ("", "kvm", "tcg"):
        raise VmError("VIRGA_ACCEL is kvm or tcg")
    if choice == "kvm" or (not choice and subprocess.run([TESTBED, "kvm"]).returncode == 0):
        return ["-accel", "kvm", "-cpu", "host"]
    return ["-accel", "tcg"]


class Qmp:
    """QEMU's control socket."""

    def __init__(self, sock):
        self.sock, self.buffer, self.events = sock, b"", []

    def _message(self, deadline):
        while b"\n" not in self.buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.sock], [], [], left)[0]:
                raise VmError("QEMU does not answer on its control socket")
            data = self.sock.recv(65536)
            if not data:
                raise VmError("QEMU has closed its control socket")
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line)

    def greet(self, timeout):
        self._message(time.monotonic() + timeout)
        self.command("qmp_capabilities", timeout)

    def command(self, name, timeout, **arguments):
        request = {"execute": name, "arguments": arguments}
        self.sock.sendall(json.dumps(request).encode() + b"\n")
        deadline = time.monotonic() + timeout
        while True:
            answer = self._message(deadline)
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise VmError(f"QEMU refuses {name}: {answer['error']['desc']}")
            self.events.append(answer)


class Stream:
    """One way out of the guest: bytes up to the mark that ends a command."""

    def __init__(self, sock):
        self.sock, self.buffer = sock, b""

    def begin(self, token, sink):
        self.mark, self.sink, self.status = b"\0" + token + b" ", sink, None

    def feed(self):
        """Takes what is there; False when the other end is closed."""
        data = self.sock.recv(65536)
        self.buffer += data
        self._scan()
        return bool(data)

    def _scan(self):
        """Hands on what cannot be part of the mark; sees the mark itself."""
        at = self.buffer.find(self.mark)
        if at >= 0 and b"\n" in self.buffer[at:]:
            line, rest = self.buffer[at:].split(b"\n", 1)
            self.sink(self.buffer[:at])
            self.status, self.buffer = line[len(self.mark) :].decode(), rest
        elif at < 0:
            keep = self._length_of_beginning()
            end = len(self.buffer) - keep
            self.sink(self.buffer[:end])
            self.buffer = self.buffer[end:]

    def _length_of_beginning(self):
        """How many bytes at the end may be the beginning of the mark."""
        at = self.buffer.rfind(b"\0")
        tail = self.buffer[at:] if at >= 0 else b""
        return len(tail) if tail and self.mark.startswith(tail) else 0


class Vm:
    """logs: folder for console.log and qemu.log. devices: QEMU's arguments for
    what is under test. share: folder that is /share and the working directory
    in the guest. append: more words for the kernel's command line. sockets:
    sockets handed to QEMU by their file descriptor numbers. image: a disk to
    boot instead of the test bed's guest: no commands can be run in it then.
    daemons: without any of them nothing is waited for."""

    def __init__(self, logs, devices=(), share=None, memory="1G", cpus=2, append="",
                 display="none", tree="qemu", sockets=(), image=None, daemons=()):
        self.logs = pathlib.Path(logs)
        self.logs.mkdir(parents=True, exist_ok=True)
        self.console = self.logs / "console.log"
        self.devices, self.share, self.image = list(devices), share, image
        self.memory, self.cpus, self.append = memory, cpus, append
        self.display, self.tree, self.sockets = display, tree, list(sockets)
        self.daemons = list(daemons)
        self.process, self.mad = None, False

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
        ours, theirs = zip(*(socket.socketpair() for _ in range(4)))
        self.ends = ours
        arguments = self._arguments(*(s.fileno() for s in theirs))
        (self.logs / "qemu.cmdline").write_text("\n".join(arguments) + "\n")
        self.process = subprocess.Popen(
            [TESTBED, "qemu", *arguments],
            env={**os.environ, "VIRGA_QEMU": self.tree},
            pass_fds=[s.fileno() for s in (*theirs, *self.sockets)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )
        for sock in theirs:
            sock.close()
        threading.Thread(target=self._keep_stderr, daemon=True).start()
        self._qmp, self.tty = Qmp(ours[0]), ours[3]
        self.out, self.err = Stream(ours[1]), Stream(ours[2])
        try:
            self._qmp.greet(scaled(60))
        except (VmError, OSError):
            raise VmError(f"QEMU did not start.{self._last_words()}") from None
        return self

    def stop(self):
        if not self.process:
            return
        if self.process.poll() is None:
            try:
                self._qmp.command("quit", scaled(5))
                self.process.wait(scaled(5))
            except (VmError, OSError, AttributeError, subprocess.TimeoutExpired):
                self.process.kill()
        self.process.wait()
        for end in self.ends:
            end.close()

    def _arguments(self, qmp, out, err, tty):
        arguments = [
            "-nodefaults", "-no-user-config", "-vga", "none", "-display", self.display,
            "-run-with", "exit-with-parent=on",
            "-machine", "q35,memory-backend=mem", *accelerator(),
            "-object", f"memory-backend-memfd,id=mem,size={self.memory},share=on",
            "-m", self.memory, "-smp", str(self.cpus),
            "-chardev", f"file,id=console,path={_comma(self.console)}",
            "-serial", "chardev:console",
            "-chardev", f"socket,id=qmp,fd={qmp}", "-object", "monitor-qmp,id=qmp,chardev=qmp",
        ]
        if self.image:
            return arguments + self._image_arguments() + self.devices
        for name, fd in (("tty", tty), ("out", out), ("err", err)):
            arguments += ["-chardev", f"socket,id=virga-{name},fd={fd}"]
        arguments += [
            "-device", "virtio-serial-pci", "-device", "virtconsole,chardev=virga-tty",
            "-device", "virtserialport,chardev=virga-out,name=virga.out",
            "-device", "virtserialport,chardev=virga-err,name=virga.err",
        ]
        return arguments + self._guest_arguments() + self.devices

    def _guest_arguments(self):
        guest = pathlib.Path(testbed("path", "guest"))
        # Where emulation stands still now and then, the kernel would think its timer broken.
        append = "console=tty0 console=ttyS0 loglevel=5 no_timer_check " + self.append
        arguments = share("root", guest / "root", True) + share("virga", DEMOS / "guest", True)
        if self.share:
            arguments += share("share", self.share, False)
            append += " virga.share"
        return arguments + [
            "-kernel", str(guest / "kernel"), "-initrd", str(guest / "initrd"),
            "-append", append.strip(),
        ]

    def _image_arguments(self):
        return [
            "-drive", f"file={_comma(self.image)},if=virtio,snapshot=on",
            "-nic", "user,model=virtio-net-pci", "-device", "virtio-rng-pci",
            "-device", "qemu-xhci", "-device", "usb-tablet", "-device", "usb-kbd",
        ]

    def _keep_stderr(self):
        """Writes QEMU's words down up to the limit; past it QEMU is ended."""
        kept = 0
        with open(self.logs / "qemu.log", "wb", buffering=0) as log, self.process.stderr as words:
            while data := words.read1(65536):
                kept += len(data)
                if kept <= STDERR_LIMIT:
                    log.write(data)
                elif not self.mad:
                    self.mad = True
                    log.write(b"\n[cut off here, and QEMU ended]\n")
                    self.process.kill()

    def _last_words(self):
        """The ends of the logs, for an error."""
        if self.process.poll() is None:
            time.sleep(0.2)
        words = ""
        if self.mad:
            words = " It printed errors without end and was stopped (has the back-end died?)."
        for log in (self.logs / "qemu.log", self.console):
            lines = log.read_text(errors="replace").splitlines()[-4:] if log.exists() else []
            words += f"\n{log}:\n  " + "\n  ".join(lines) if lines else ""
        return words

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def must_live(self, doing):
        if self.alive() and any(daemon.process.poll() is not None for daemon in self.daemons):
            time.sleep(0.5)  # they also end because QEMU does
        for daemon in self.daemons if self.alive() else ():
            daemon.must_live(doing)
        if not self.alive():
            raise VmError(f"QEMU ended while {doing}.{self._last_words()}")
        if b"Kernel panic" in self.console.read_bytes():
            raise VmError(f"The guest's kernel panicked while {doing}.{self._last_words()}")

    # -- commands

    def wait_boot(self, timeout=90):
        """Waits until the guest takes commands; returns its kernel's release."""
        return self._wait_mark(b"READY", timeout, "the guest boots")

    def reset(self, timeout=90):
        """Resets the machine, as its button would, and waits for the boot."""
        self.qmp("system_reset")
        return self.wait_boot(timeout)

    def run(self, script, timeout=60, out=None, err=None):
        """Runs a shell script in the guest. Its output is handed to `out` and
        `err` (functions that take bytes) as it comes, else kept in the result.
        A script that is not done in time is ended there, with status 124."""
        kept = ([], [])
        sinks = (out or kept[0].append, err or kept[1].append)
        token = secrets.token_hex(8).encode()
        seconds = int(scaled(timeout)) + 1
        line = b"%s %d %s\n" % (token, seconds, base64.b64encode(script.encode()))
        for stream, sink in zip((self.out, self.err), sinks):
            stream.begin(token, sink)
        self.out.sock.sendall(line)
        status = self._read_until_marks((self.out, self.err), seconds + scaled(15),
                                        f"it ran: {script.splitlines()[0][:60]}")
        texts = (b"".join(part).decode(errors="replace") for part in kept)
        return Result(int(status), *texts)

    def check(self, script, timeout=60):
        """The output of a script that must succeed."""
        result = self.run(script, timeout)
        if result.status:
            words = (result.err or result.out).strip().splitlines()[-3:]
            raise VmError(f"In the guest, '{script}' ended with {result.status}: "
                          + "; ".join(words))
        return result.out

    def lend(self, library):
        """Gives the guest a library of ours to be preloaded; its path there."""
        path = f"/run/{library.name}"
        words = base64.encodebytes(library.read_bytes()).decode()
        self.check(f"base64 -d >{path} <<'END'\n{words}END")
        return path

    def spawn(self, script, log="/dev/null"):
        """Starts a script in the guest and leaves it running; returns a process
        group for end()."""
        encoded = base64.b64encode(script.encode()).decode()
        return int(self.check(
            f"echo {encoded} | base64 -d >/run/spawned.$$; setsid bash /run/spawned.$$ "
            f"</dev/null >{log} 2>&1 & echo $!"))

    def end(self, group):
        """Ends what spawn() started, and all that it started."""
        self.run(f"kill -- -{group}; for i in $(seq 50); do kill -0 -- -{group} || break; "
                 f"sleep 0.1; done; kill -9 -- -{group}")

    def _wait_mark(self, token, timeout, doing):
        self.out.begin(token, lambda data: None)
        return self._read_until_marks((self.out,), scaled(timeout), doing)

    def _read_until_marks(self, streams, seconds, doing):
        deadline = time.monotonic() + seconds
        open_streams = list(streams)
        while any(stream.status is None for stream in streams):
            self.must_live(doing)
            if time.monotonic() > deadline:
                raise VmError(f"Timeout ({seconds:.0f} s) while {doing}.{self._last_words()}")
            readable = select.select([s.sock for s in open_streams], [], [], 0.5)[0]
            for stream in [s for s in open_streams if s.sock in readable]:
                if not stream.feed():
                    open_streams.remove(stream)
        return streams[0].status

    # -- the machine

    def qmp(self, name, timeout=30, **arguments):
        try:
            return self._qmp.command(name, scaled(timeout), **arguments)
        except (VmError, OSError) as error:
            self.must_live(f"asked for {name}")
            raise VmError(str(error)) from None

    def screen(self):
        """The picture on the first screen."""
        with tempfile.NamedTemporaryFile(suffix=".ppm") as file:
            self.qmp("screendump", filename=file.name, format="ppm")
            return picture.read(file.name)

    def screendump(self, path):
        """Writes the picture on the first screen as a PNG and returns it."""
        shot = self.screen()
        shot.write_png(path)
        return shot


def _comma(path):
    """A path as a value in QEMU's options, where a comma is doubled."""
    return str(path).replace(",", ",,")


def share(tag, path, readonly):
    options = ",readonly=on" if readonly else ""
    return [
        "-fsdev",
        f"local,id={tag},path={_comma(path)},security_model=none,multidevs=remap{options}",
        "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}",
    ]
