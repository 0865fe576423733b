"""A root folder of its own for the real jtop service, in namespaces of its own: whatever it writes, listens to or finds
(/fake_sys, /run/jtop.sock, the group jtop, the processes it starts) is gone with the room, however that ends, and two
rooms never meet.

    unshare --mount --pid --fork … python jtop_room.py NEW TREE PYTHON
                                     │ builds NEW: this machine's folders, TREE/sys as /sys and /fake_sys, an empty /run
                                     ▼
    stdin  ── start | stop | kill | halt ──►  the service, in jetson-stats' testing mode
    stdout ◄── done ──                        end of stdin: the room's end
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

READY_S = 60.0
SOCKET = Path("/run/jtop.sock")
# The service keeps its settings below the folder of the interpreter: here below /run, which is the room's own.
_SERVICE = "import runpy, sys; sys.base_prefix = '/run/python'; runpy.run_module('jtop', run_name='__main__')"


def furnish(new: Path, tree: Path) -> None:
    """Build the room's root in `new` from this machine's and from the board's files in `tree`."""
    _mount("-t", "tmpfs", "tmpfs", str(new))
    for entry in Path("/").iterdir():
        place = new / entry.name
        if entry.is_symlink():
            place.symlink_to(os.readlink(entry))
        elif entry.name in ("etc", "fake_sys", "proc", "run", "sys"):
            place.mkdir()
        elif entry.is_dir():
            place.mkdir()
            _mount("--rbind", str(entry), str(place))
    (new / "fake_sys").mkdir(exist_ok=True)
    _mount("-t", "proc", "proc", str(new / "proc"))
    for name in ("sys", "fake_sys"):
        _mount("--bind", str(tree / "sys"), str(new / name))
    for entry in Path("/etc").iterdir():
        if entry.is_file() and os.access(entry, os.R_OK) and not entry.is_symlink():
            (new / "etc" / entry.name).write_bytes(entry.read_bytes())
        else:
            (new / "etc" / entry.name).symlink_to(os.path.realpath(entry))
    with open(new / "etc/group", "a", encoding="ascii") as groups:
        groups.write("jtop:x:0:\n")
    (new / "run").chmod(0o755)


def serve(python: str) -> None:
    """Do what stdin says until it ends."""
    service: subprocess.Popen[bytes] | None = None
    for line in sys.stdin:
        word = line.strip()
        if word == "start":
            service = _start(python)
        elif service is not None:
            _end(service, {"stop": signal.SIGTERM, "kill": signal.SIGKILL, "halt": signal.SIGSTOP}[word])
        print("done", flush=True)


def _start(python: str) -> subprocess.Popen[bytes]:
    environment = dict(os.environ, JTOP_SERVICE="1", JTOP_TESTING="1")
    with open("/run/service.log", "ab") as log:
        service = subprocess.Popen(
            [python, "-c", _SERVICE, "--force"], env=environment, stdout=log, stderr=log, start_new_session=True
        )
    deadline = time.monotonic() + READY_S
    while not (SOCKET.exists() and SOCKET.stat().st_mode & 0o777 == 0o660):
        if service.poll() is not None or time.monotonic() > deadline:
            sys.exit("the service did not start: " + Path("/run/service.log").read_text(encoding="utf-8")[-2000:])
        time.sleep(0.05)
    return service


def _end(service: subprocess.Popen[bytes], number: signal.Signals) -> None:
    if number is signal.SIGTERM:
        service.terminate()  # it puts its files away
        service.wait(30)
    else:
        os.killpg(service.pid, number)


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


if __name__ == "__main__":
    furnish(Path(sys.argv[1]), Path(sys.argv[2]))
    os.chroot(sys.argv[1])
    os.chdir("/")
    print("done", flush=True)
    serve(sys.argv[3])
