"""How programs of another architecture are run in a tree of their own, and ended: by namespaces, or by proot.

    namespace   this process ──fork──► owner of a user namespace ──fork──► its first process ──► the command
    proot       this process ──fork──► guard ──► proot ──► the command

Whichever it is, all that ran ends with this process, even if that is killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

QEMU = "qemu-aarch64-static"
DONE = "etc/made-by-explorer"
DEVICES = ("null", "zero", "full", "random", "urandom")

# How the kernel knows an aarch64 program: the first bytes of its file, and which bits of them matter (QEMU's own
# scripts/qemu-binfmt-conf.sh). F: the emulator is opened now, so that it need not be found in the board's tree.
MAGIC = r"\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
MASK = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
BINFMT = Path("/proc/sys/fs/binfmt_misc")

# The host's would tell the board's programs of an x86 processor. QEMU names none either: "max", all it can emulate.
CPU = "processor\t: {}\nFeatures\t: fp asimd\nCPU implementer\t: 0x00\nCPU architecture: 8\nCPU part\t: 0x051\n\n"
CPU_NAME = "Hardware\t: QEMU user-mode emulation (max)\n"

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID = 0x00020000, 0x10000000, 0x20000000
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
LIBC = ctypes.CDLL(None, use_errno=True)


def start(tree: Path, state: Path, words: list[str], *, way: str) -> int:
    """Run a command on the board until it ends; nothing of it outlives this process."""
    die_with_parent()
    mounts = prepare(state.resolve(), tree.resolve())
    if way == "auto":
        why_not = probe(tree, state)
        way = "proot" if why_not else "namespace"
        if why_not and not which("proot"):
            sys.exit(f"aarch64 board: no namespace ({why_not}) and no proot (Debian package proot)")
        say(f"by proot, because no namespace can be had: {why_not}" if why_not else "in a namespace of its own")
    run = in_namespace if way == "namespace" else in_proot
    return run(tree.resolve(), mounts, words)


def probe(tree: Path, state: Path) -> str:
    """Why a namespace cannot be had; empty when it can."""
    board = str(Path(__file__).with_name("aarch64_board.py"))
    words = [sys.executable, board, "run", "--state", str(state), "--tree", str(tree), "--way", "namespace"]
    done = subprocess.run([*words, "--", "/bin/true"], capture_output=True, text=True, timeout=60)
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]


def prepare(state: Path, tree: Path) -> list[tuple[Path, str]]:
    """What of this machine shows up where on the board.

    Its /sys holds no more than which processors there are: with the host's ONNX Runtime's processor detection
    crashes (1.31), without any it gives up (1.19, 1.23).
    """
    cores = os.cpu_count() or 1
    processors = state / "sys" / "devices" / "system" / "cpu"
    for folder in (processors, state / "root", state / "tmp", state / "run" / "sshd"):
        folder.mkdir(parents=True, exist_ok=True)
    for name in ("possible", "present"):
        (processors / name).write_text(f"0-{cores - 1}\n" if cores > 1 else "0\n")
    (state / "cpuinfo").write_text("".join(CPU.format(core) for core in range(cores)) + CPU_NAME)
    (state / "run" / "sshd").chmod(0o755)
    shown = [(state / name, f"/{name}") for name in ("sys", "root", "tmp", "run")]
    devices = [(Path("/dev") / name, f"/dev/{name}") for name in DEVICES]
    return [*shown, *devices, (state / "cpuinfo", "/proc/cpuinfo")]


def in_proot(tree: Path, mounts: list[tuple[Path, str]], words: list[str]) -> int:
    """Run it by proot, under a guard: proot lets go of its processes when it is killed, and then nobody ends them."""
    bound = [word for source, target in [(Path("/proc"), "/proc"), *mounts] for word in ("-b", f"{source}:{target}")]
    guard = os.fork()
    if guard:
        return reap(guard)
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    die_with_parent(signal.SIGTERM)
    try:
        emulator = ["proot", "-0", "-q", QEMU, "-r", str(tree), "-w", "/", *bound]
        code = reap(subprocess.Popen([*emulator, *words], env=environment()).pid)
    except SystemExit as end:
        code = int(str(end.code))
    end_descendants()
    os._exit(code)


def end_descendants() -> None:
    """End every process below this one, those that are orphaned meanwhile included."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    below = descendants(os.getpid())
    while below:
        for process in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.wait()
        below = descendants(os.getpid())


def descendants(ancestor: int) -> list[int]:
    """The processes below `ancestor`, from the kernel's list."""
    parents: dict[int, int] = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended while we looked
            parents[int(file.parent.name)] = int(file.read_text().rpartition(")")[2].split()[1])
    found, next_row = [], [ancestor]
    while next_row:
        next_row = [process for process, parent in parents.items() if parent in next_row]
        found += next_row
    return found


def in_namespace(tree: Path, mounts: list[tuple[Path, str]], words: list[str]) -> int:
    """Run it in namespaces of its own.

    this process ──fork──► owner of a user namespace ──fork──► its first process: mounts, chroot ──fork──► the command
                 maps ids                                      waits for all; the kernel ends all with it
    """
    with two_pipes() as (ready, mapped):
        owner = os.fork()
        if owner == 0:
            os._exit(own_namespaces(tree, mounts, words, ready=ready, mapped=mapped))
        os.close(ready[1])
        os.close(mapped[0])
        if os.read(ready[0], 1):
            map_ids(owner)
            os.write(mapped[1], b"1")
        return reap(owner)


@contextlib.contextmanager
def two_pipes() -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Two pipes, closed at the end as far as they are still open."""
    pipes = os.pipe(), os.pipe()
    try:
        yield pipes
    finally:
        for end in (*pipes[0], *pipes[1]):
            with contextlib.suppress(OSError):
                os.close(end)


def own_namespaces(
    tree: Path, mounts: list[tuple[Path, str]], words: list[str], *, ready: tuple[int, int], mapped: tuple[int, int]
) -> int:
    """The owner of the namespaces: get them, wait until its ids are mapped, be the first process's parent."""
    try:
        die_with_parent()
        os.close(ready[0])
        os.close(mapped[1])
        unshare(CLONE_NEWUSER)
        os.write(ready[1], b"1")
        if not os.read(mapped[0], 1):
            return 1
        os.setgid(0)
        os.setuid(0)
        unshare(CLONE_NEWNS | CLONE_NEWPID)
        first = os.fork()
        if first:
            return reap(first)
        die_with_parent()
        furnish(tree, mounts)
        return reap(subprocess.Popen(words, env=environment(), preexec_fn=os.setsid).pid)
    except (OSError, subprocess.SubprocessError) as error:
        say(str(error))
        return 1


def map_ids(process: int) -> None:
    """Give the namespace root's id, and those that an sshd needs besides.

    Root maps its own ids onto themselves; anybody else is root in there, and borrows the others from /etc/subuid.
    """
    if os.getuid() == 0:
        for name in ("gid_map", "uid_map"):
            Path(f"/proc/{process}/{name}").write_text("0 0 65536\n")
        return
    for program, own in (("newgidmap", os.getgid()), ("newuidmap", os.getuid())):
        first, count = lent(Path("/etc/subuid" if program == "newuidmap" else "/etc/subgid"))
        checked([program, str(process), "0", str(own), "1", "1", first, count])


def lent(table: Path) -> tuple[str, str]:
    """The first range of ids that a table such as /etc/subuid lends to this user."""
    names = (pwd.getpwuid(os.getuid()).pw_name, str(os.getuid()))
    rows = [line.split(":") for line in table.read_text().splitlines() if line.count(":") == 2]
    found = next(((first, count) for name, first, count in rows if name in names), None)
    if found is None:
        sys.exit(f"aarch64 board: {table} lends no ids to {names[0]}")
    return found


def furnish(tree: Path, mounts: list[tuple[Path, str]]) -> None:
    """Mount what the board needs, and move in."""
    mount("--make-rprivate", "/")
    mount("--bind", str(tree), str(tree))
    register()
    mount("-t", "proc", "proc", f"{tree}/proc")
    for source, target in mounts:
        mount("--bind", str(source), f"{tree}{target}")
    if (tree / DONE).exists():  # while it is being made, Python may leave its compiled modules in it
        mount("-o", "remount,bind,ro", str(tree))
    os.chroot(tree)
    os.chdir("/")


def register() -> None:
    """Have the kernel run aarch64 programs by the emulator, in this namespace only; or find that it does already."""
    if not (BINFMT / "qemu-aarch64").exists():
        mount("-t", "binfmt_misc", "binfmt_misc", str(BINFMT))
        (BINFMT / "register").write_text(f":qemu-aarch64:M::{MAGIC}:{MASK}:{which(QEMU)}:F")


def mount(*words: str) -> None:
    """Mount, or fail with the program's own words."""
    done = subprocess.run(["mount", *words], capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"mount {' '.join(words)}: {done.stderr.strip()}")


def reap(child: int) -> int:
    """Wait for `child`, and for whatever else becomes ours meanwhile; its exit status as a shell says it."""
    while True:
        pid, status = os.wait()
        if pid == child:
            return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def environment() -> dict[str, str]:
    """The environment of a board that has just started."""
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"}


def die_with_parent(by: signal.Signals = signal.SIGKILL) -> None:
    """Have the kernel end this process when its parent ends."""
    LIBC.prctl(PR_SET_PDEATHSIG, by, 0, 0, 0)


def unshare(flags: int) -> None:
    """Leave the namespaces of the parent."""
    if LIBC.unshare(flags):
        number = ctypes.get_errno()
        raise OSError(number, f"no new namespace: {os.strerror(number)}")


def which(program: str) -> str | None:
    """The program's path, also where an ordinary user's PATH does not lead."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def checked(words: list[str]) -> None:
    """Run a program; what it prints goes to stderr, for stdout is for the answer."""
    done = subprocess.run(words, stdout=sys.stderr)
    if done.returncode:
        sys.exit(f"aarch64 board: this failed with exit status {done.returncode}: {' '.join(words)}")


def say(text: str) -> None:
    """Tell whoever watches."""
    print(f"aarch64 board: {text}", file=sys.stderr, flush=True)
