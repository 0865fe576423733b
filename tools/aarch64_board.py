"""A board of another architecture on this very machine: Debian for arm64 under QEMU's user-mode emulation.

    tools/aarch64_board.py check                             what is missing here; nothing when all is there
    tools/aarch64_board.py make                              make the board's file system, or find it made; its folder
    tools/aarch64_board.py run --state DIR -- COMMAND …      a command on the board, /usr/sbin/sshd for instance

The file system is Debian's packages, unpacked by mmdebstrap and not configured (their scripts would have to be
emulated, too), and the aarch64 wheels of ONNX Runtime for its python3. Packages come from where this machine's apt
gets its own, wheels from where its pip does. It is kept below explorer's cache, under a name that holds what it was
made of. Two ways to run it; the first that works is taken, and said:

    namespace   a user, mount and PID namespace with a binfmt_misc of its own (Linux 6.7 or newer; or the machine has
                qemu-aarch64 registered already); needs root, or uidmap and a line each in /etc/subuid and /etc/subgid
    proot       every system call translated by ptrace: slower, but needs no right at all

The board keeps its network to the host, so that its sshd can be reached on the loopback. What it writes goes into
--state (its /root, /run and /tmp); in a namespace the rest of its tree cannot be written. Standard library only.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import platform
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from emulation import DEVICES, DONE, QEMU, checked, say, start, which

SUITE, ARCHITECTURE, PYTHON = "bookworm", "arm64", "3.11"
PACKAGES = ("base-files", "bash", "coreutils", "dash", "libc-bin", "libstdc++6", "openssh-server", "python3")
WHEELS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux_2_17_aarch64")
LIBRARIES = ("onnxruntime", "numpy")
SITE = "usr/local/lib/python3.11/dist-packages"
VERSION = "1"  # of how a tree is made; one that was made otherwise is not taken for one of these
WARM_UP_S = 300

ACCOUNTS = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/bash\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/shadow": "root:*:19000:0:99999:7:::\nsshd:!:19000::::::\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files\n",
    "etc/hosts": "127.0.0.1 localhost\n",
}


def main() -> int:
    """Do what the command line says; the exit status."""
    parser = argparse.ArgumentParser(description="An aarch64 board, emulated.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check", help="what is missing on this machine; exit status 3 if anything is")
    made = commands.add_parser("make", help="make the board's file system, or find it made; prints its folder")
    run = commands.add_parser("run", help="run a command on the board")
    for each in (made, run):
        each.add_argument("--cache", type=Path, default=default_cache(), help="where the file system is kept")
    run.add_argument("--state", type=Path, required=True, help="where the board keeps what it writes; made if absent")
    run.add_argument("--tree", type=Path, help="the board's file system, when it is made already")
    run.add_argument("--way", choices=("auto", "namespace", "proot"), default="auto")
    run.add_argument("words", nargs="+", metavar="COMMAND")
    given = parser.parse_args()
    if given.command == "check":
        print("\n".join(missing()), end="\n" if missing() else "")
        return 3 if missing() else 0
    if given.command == "make":
        print(make(given.cache))
        return 0
    return start(given.tree or make(given.cache), given.state, given.words, way=given.way)


def default_cache() -> Path:
    """The cache of explorer itself."""
    return Path(os.environ.get("EXPLORER_CACHE") or Path.home() / ".cache" / "explorer")


def missing() -> list[str]:
    """What a board cannot be made or run without, in words."""
    packages = {QEMU: "qemu-user-static", "mmdebstrap": "mmdebstrap", "tar": "tar"}
    absent = [f"no {program} (Debian package {package})" for program, package in packages.items() if not which(program)]
    if sys.platform != "linux":
        return ["it takes Linux to emulate one", *absent]
    return ["this machine is an aarch64 one itself"] if platform.machine() == "aarch64" else absent


# ---- make


def make(cache: Path) -> Path:
    """The folder of the board's file system, made if it is not there yet."""
    boards = cache / "boards"
    tree = boards / f"aarch64-{recipe()}"
    boards.mkdir(parents=True, exist_ok=True)
    with (boards / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two test runs at once: the second waits and finds it made
        if not (tree / DONE).exists():
            for reason in missing():
                sys.exit(f"aarch64 board: {reason}")
            with tempfile.TemporaryDirectory(dir=boards, prefix=".making-") as work:
                build(Path(work) / "tree")
                (Path(work) / "tree").rename(tree)
    return tree


def recipe() -> str:
    """A name for what the file system is made of."""
    parts = [VERSION, SUITE, ARCHITECTURE, *PACKAGES, *WHEELS, *requirements(), *ACCOUNTS.values()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def requirements() -> list[str]:
    """The libraries, in the versions that the host has: results are to be compared."""
    found = []
    for name in LIBRARIES:
        try:
            found.append(f"{name}=={metadata.version(name)}")
        except metadata.PackageNotFoundError:
            found.append(name)
    return found


def build(tree: Path) -> None:
    """Packages, libraries, accounts; then everything the agent needs is imported once, which also proves it."""
    tree.mkdir()
    say(f"unpacking Debian {SUITE} for {ARCHITECTURE}")
    packages = [f"--include={','.join(PACKAGES)}", f"--architectures={ARCHITECTURE}"]
    # Chrootless: nothing of a package is run, so it takes no rights, and does no harm where they are there.
    modestly = ["--quiet", "--variant=extract", "--mode=chrootless", "--skip=check/chrootless", "--format=tar"]
    debian = ["mmdebstrap", *modestly, *packages, SUITE, "-", *sources()]
    unpack = ["tar", "--extract", "--no-same-owner", "--exclude=./dev/*", f"--directory={tree}"]
    pipe(debian, unpack)
    say(f"adding {' and '.join(requirements())} for aarch64")
    platforms = [word for name in WHEELS for word in ("--platform", name)]
    target = ["--target", str(tree / SITE), "--python-version", PYTHON, "--implementation", "cp"]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-compile"]
    checked([*pip, *target, *platforms, "--only-binary=:all:", *requirements()])
    settle(tree)
    say("first start")
    with tempfile.TemporaryDirectory() as state:
        imports = "import asyncio, ctypes, json, numpy, onnxruntime, platform; print(onnxruntime.__version__)"
        words = [sys.executable, __file__, "run", "--state", state, "--tree", str(tree), "--", "/usr/bin/python3"]
        checked(["timeout", "-s", "KILL", str(WARM_UP_S), *words, "-I", "-c", imports])
    (tree / DONE).write_text("\n".join([SUITE, *PACKAGES, *requirements(), ""]))


def sources() -> list[str]:
    """Lines for apt that name where this machine gets the same suite from; without any, mmdebstrap's default."""
    wanted = "$(RELEASE)|$(COMPONENT)|$(REPO_URI)"
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", wanted, "Created-By: Packages"], capture_output=True, text=True
    )
    rows = [line.split("|") for line in listed.stdout.splitlines()]
    addresses = dict.fromkeys(uri for suite, component, uri in rows if (suite, component) == (SUITE, "main"))
    return [f"deb {uri} {SUITE} main" for uri in addresses]


def settle(tree: Path) -> None:
    """What the packages' scripts would have done, as far as the board needs it."""
    for name in ("proc", "sys", "dev", "run", "root", "tmp"):
        (tree / name).mkdir(exist_ok=True)
    for name in DEVICES:
        (tree / "dev" / name).touch()
    for name, text in ACCOUNTS.items():
        (tree / name).write_text(text)
    if not (tree / "bin" / "sh").exists():
        (tree / "bin" / "sh").symlink_to("dash")


def pipe(source: list[str], sink: list[str]) -> None:
    """Run two programs, the output of one being the input of the other."""
    with subprocess.Popen(source, stdout=subprocess.PIPE) as first:
        second = subprocess.run(sink, stdin=first.stdout)
    if first.returncode or second.returncode:
        sys.exit(f"aarch64 board: this failed: {' '.join(source)} | {' '.join(sink)}")


if __name__ == "__main__":
    sys.exit(main())
