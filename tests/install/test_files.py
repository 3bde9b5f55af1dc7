# SPDX-License-Identifier: MIT
"""What 'meson install' puts down: each file is one that its reader takes, and all of them name the
same options. Arguments: the meson program, the build folder, the prefix."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

DAEMONS = ("virga-gpu", "virga-sound", "virga-video")
UNIT_VERIFY = ["systemd-analyze", "--user", "--man=no", "verify"]


def run(*command, **options):
    words = [str(word) for word in command]
    return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=120, **options)


def need(program):
    if not shutil.which(program):
        raise unittest.SkipTest(f"{program} is not here")


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="virga."))
        cls.addClassCleanup(shutil.rmtree, cls.root)
        cls.prefix = pathlib.PurePosixPath(PREFIX)
        cls.tree = cls.root / PREFIX.lstrip("/")
        done = run(MESON, "install", "--no-rebuild", "-C", BUILD, "--destdir", cls.root)
        if done.returncode:
            raise AssertionError(done.stdout + done.stderr)
        cls.files = sorted(p for p in cls.root.rglob("*") if not p.is_dir())

    def under(self, folder, pattern="*"):
        """The installed files in a folder of the prefix; at least one."""
        found = sorted((self.tree / folder).glob(pattern))
        self.assertTrue(found, f"nothing is installed as {self.prefix / folder / pattern}")
        return found

    def clean(self, done):
        """A command that succeeded and complained of nothing."""
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.args)
        return done.stdout


class Files(Installed):
    def test_nothing_unknown(self):
        known = ["bin/*", "share/man/man1/*.1", "share/bash-completion/completions/*",
                 "share/zsh/site-functions/_*", "share/fish/vendor_completions.d/*.fish",
                 "share/qemu/vhost-user/*.json", "lib/systemd/user/*.service",
                 "lib/systemd/user/*.socket"]
        for file in self.files:
            path = file.relative_to(self.tree)
            self.assertTrue(any(path.match(k) for k in known), f"{path}: no test looks at it")
            self.assertFalse(file.stat().st_mode & 0o022, f"{path} can be changed by others")

    def test_programs_start(self):
        programs = [p.name for p in self.under("bin")]
        self.assertLessEqual(set(DAEMONS), set(programs))
        for program in self.under("bin", "virga-*"):
            self.clean(run(program, "--version"))

    def test_json_names_a_program(self):
        for file in self.under("share/qemu/vhost-user"):
            said = json.loads(file.read_text())
            # The keys of docs/interop/vhost-user.json; libvirt sorts by the digits.
            self.assertLessEqual(set(said), {"description", "type", "binary", "features", "tags"})
            self.assertRegex(file.name, r"^[0-9]{2}-[a-z-]+\.json$")
            self.assertTrue(os.access(self.root / said["binary"].lstrip("/"), os.X_OK), said)
            answer = json.loads(self.clean(run(self.root / said["binary"].lstrip("/"),
                                               "--print-capabilities")))
            self.assertEqual(said["type"], answer["type"])
            self.assertLessEqual(set(said.get("features", [])), set(answer["features"]))

    def test_units(self):
        need("systemd-analyze")
        for daemon in DAEMONS:
            self.under("lib/systemd/user", f"{daemon}.socket")
        with tempfile.TemporaryDirectory() as folder:
            for file in self.under("lib/systemd/user"):
                text = file.read_text()
                if file.suffix == ".service":
                    program = re.search(r"^ExecStart=(\S+)", text, re.M)[1]
                    self.assertTrue((self.root / program.lstrip("/")).exists(), program)
                    # It wants to see the program, which is not where it will be.
                    text = text.replace("ExecStart=/", f"ExecStart={self.root}/")
                pathlib.Path(folder, file.name).write_text(text)
            self.clean(run(*UNIT_VERIFY, *pathlib.Path(folder).iterdir(),
                           env={**os.environ, "XDG_RUNTIME_DIR": folder}))

    def test_units_can_be_enabled(self):
        need("systemctl")
        for daemon in DAEMONS:
            for unit in (f"{daemon}.socket", f"{daemon}@work.service"):
                done = run("systemctl", "--global", f"--root={self.root}", "enable", unit)
                self.assertEqual(done.returncode, 0, done.stderr)
        wanted = self.root / "etc/systemd/user/sockets.target.wants"
        self.assertEqual({p.name for p in wanted.iterdir()},
                         {f"{d}{instance}.socket" for d in DAEMONS for instance in ("", "@work")})
        shutil.rmtree(self.root / "etc")

    def test_man_pages_render(self):
        if not (self.tree / "share/man").exists():
            self.skipTest("built without scdoc")
        for page in self.under("share/man/man1"):
            text = self.rendered(page)
            for heading in ("NAME", "SYNOPSIS", "OPTIONS", "EXIT STATUS", "EXAMPLES"):
                self.assertRegex(text, rf"(?m)^{heading}$")
            self.assertNotRegex(text, r"\\f[BIR]|@[a-z]+@")

    def rendered(self, page):
        if shutil.which("man"):
            return self.clean(run("man", "--warnings", "-l", page, env={
                **os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80", "MANPAGER": "cat"}))
        need("mandoc")
        return re.sub(".\b", "", self.clean(run("mandoc", "-T", "utf8", "-W", "error", page)))


class Completions(Installed):
    def test_bash(self):
        for file in self.under("share/bash-completion/completions"):
            self.clean(run("bash", "-n", file))
        library = pathlib.Path("/usr/share/bash-completion/bash_completion")
        if not library.exists():
            self.skipTest("bash-completion is not here: read, not tried")
        common = {"--sock": "--socket-path=", "--check=li": "libvirt", "--log=d": "dbg", "--one": "--one-off"}
        own = {"virga-gpu": {"--display=no": "none", "--display=p": "png:",
                             f"--display=png:{self.tree}/li": f"{self.tree}/lib"},
               "virga-sound": {"--backend=nu": "null", "--backend=f": "file:", "--capture=0": "0",
                               f"--backend=file:{self.tree}/li": f"{self.tree}/lib",
                               "--media-role=No": "Notification"},
               "virga-video": {"--device=enc": "encoder", "--dialect=ar": "arcvm", "--codecs=he": "hevc",
                               "--codecs=vp8,h2": "vp8,h264"}}
        for daemon in DAEMONS:
            for word, wanted in {**common, **own[daemon]}.items():
                with self.subTest(daemon=daemon, word=word):
                    self.assertEqual(self.complete_in_bash(library, daemon, word), wanted)

    def complete_in_bash(self, library, daemon, word):
        file = self.tree / "share/bash-completion/completions" / daemon
        words = re.findall(r"[=:]|[^=:]+", word)  # as readline would cut them
        script = (f"source {library}; source {file}; COMP_WORDS=({daemon} \"$@\"); "
                  f"COMP_CWORD=$#; COMP_LINE=\"{daemon} $LINE\"; COMP_POINT=${{#COMP_LINE}}; "
                  f"compopt() {{ :; }}; _{daemon.replace('-', '_')}; echo \"${{COMPREPLY[@]}}\"")
        return self.clean(run("bash", "--norc", "-c", script, "bash", *words,
                              env={**os.environ, "LINE": word})).strip()

    def test_zsh(self):
        need("zsh")
        folder = self.tree / "share/zsh/site-functions"
        for file in self.under("share/zsh/site-functions"):
            self.clean(run("zsh", "-n", file))
            name = file.name.removeprefix("_")
            script = (f"fpath=({folder} $fpath); autoload -Uz compinit; compinit -u -D; "
                      f"print $_comps[{name}]")
            self.assertEqual(self.clean(run("zsh", "-fc", script)).strip(), file.name)

    def test_fish(self):
        need("fish")
        with tempfile.TemporaryDirectory() as home:
            env = {**os.environ, "HOME": home, "XDG_CONFIG_HOME": home, "XDG_DATA_HOME": home}
            for file in self.under("share/fish/vendor_completions.d"):
                self.clean(run("fish", "--no-execute", file, env=env))
            common = {"--one": ["--one-off"], "--check=l": ["--check=libvirt"], "--log=d": ["--log=dbg"]}
            own = {"virga-gpu": {"--display=": ["--display=auto", "--display=qemu"],
                                 f"--display=png:{self.tree}/li": [f"--display=png:{self.tree}/lib/"]},
                   "virga-sound": {"--backend=": ["--backend=pipewire", "--backend=null"],
                                   f"--backend=file:{self.tree}/li": [f"--backend=file:{self.tree}/lib/"]},
                   "virga-video": {"--device=": ["--device=decoder"], "--codecs=vp8,h2": ["--codecs=vp8,h264"]}}
            for daemon in DAEMONS:
                file = self.tree / "share/fish/vendor_completions.d" / f"{daemon}.fish"
                for word, wanted in {**common, **own[daemon]}.items():
                    done = run("fish", "-c", f"source {file}; complete -C '{daemon} {word}'", env=env)
                    offered = [line.split("\t")[0] for line in self.clean(done).splitlines()]
                    self.assertLessEqual(set(wanted), set(offered), word)


class Drift(Installed):
    """--help, the man page and the completions know the same options and the same choices."""

    def help(self, daemon):
        text = self.clean(run(self.tree / "bin" / daemon, "--help"))
        return "\n".join(re.findall(r"(?m)^  (-.*?)(?:  |$)", text))

    def words(self, daemon):
        """Where options are named, and the words there."""
        texts = {
            "bash": (self.tree / "share/bash-completion/completions" / daemon).read_text(),
            "zsh": (self.tree / "share/zsh/site-functions" / f"_{daemon}").read_text(),
            "fish": (self.tree / "share/fish/vendor_completions.d" / f"{daemon}.fish").read_text(),
        }
        texts["bash"] = re.search(r"    \*\)\n.*?-W '(.*?)'", texts["bash"], re.S)[1]
        texts["zsh"] = "\n".join(re.findall(r"""(?m)^    ["'](?:\(.*?\)|\*)?(-[^\[]*)\[""", texts["zsh"]))
        texts["fish"] = re.sub(r"-l (\S+)", r"--\1", re.sub(r"-s (\S+)", r"-\1", "\n".join(
            re.findall(r"(?m)^complete .*?(-[ls] \S+)", texts["fish"]))))
        page = self.tree / "share/man/man1" / f"{daemon}.1"
        if page.exists():
            body = re.search(r"\.SH OPTIONS\n(.*?)\.SH ", page.read_text(), re.S)[1]
            body = re.sub(r"\\f[BIR]|\\&|\\(?=-)", "", body)
            texts["man page"] = "\n".join(re.findall(r"(?m)^(-.*)$", body))
        return texts

    def test_options(self):
        for daemon in DAEMONS:
            offered = self.options(self.help(daemon))
            self.assertGreater(len(offered), 8)
            for where, text in self.words(daemon).items():
                with self.subTest(daemon=daemon, where=where):
                    self.assertEqual(self.options(text), offered)

    @staticmethod
    def options(text):
        return set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*(?<!-)", text))

    def test_choices(self):
        files = ["share/bash-completion/completions/{}", "share/zsh/site-functions/_{}",
                 "share/fish/vendor_completions.d/{}.fish", "share/man/man1/{}.1"]
        for daemon in DAEMONS:
            for choice in re.findall(r"[a-z]+:?(?=[|\]])|(?<=\|)[a-z]+:?", self.help(daemon)):
                for file in (self.tree / f.format(daemon) for f in files):
                    if file.exists():
                        self.assertIn(choice, file.read_text(), file)


if __name__ == "__main__":
    MESON, BUILD, PREFIX = sys.argv[1:4]
    del sys.argv[1:]
    unittest.main(verbosity=2)
