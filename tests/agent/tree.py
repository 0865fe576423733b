"""A board's /sys, /proc and programs as a folder, with jetson_clocks and nvpmodel as scripts that turn its knobs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

CPU = "sys/devices/system/cpu"
GPU = "sys/devices/platform/bus@0/17000000.gpu/devfreq/17000000.gpu"
RAILGATE = "sys/devices/platform/bus@0/17000000.gpu/railgate_enable"
BOOT = "proc/sys/kernel/random/boot_id"

# As the real one does: it asks before it overwrites, writes what its file says to where it says, and ends with 0.
JETSON_CLOCKS = """#!/bin/sh
board=$(cd "$(dirname "$0")/../.." && pwd)
echo jetson_clocks "$@" >> "$board/calls"
gpu=$board/sys/devices/platform/bus@0/17000000.gpu
knobs="$board/sys/devices/system/cpu/cpufreq/policy0/scaling_min_freq
    $board/sys/devices/system/cpu/cpufreq/policy4/scaling_min_freq
    $gpu/devfreq/17000000.gpu/min_freq $gpu/railgate_enable"
case "$1" in
--store)
    if [ -e "$2" ]; then
        echo "File $2 already exists. Can I overwrite it? Y/N:"
        read -r answer
        [ "$answer" = y ] || exit 1
        rm "$2"
    fi
    for knob in $knobs; do echo "$knob:$(cat "$knob")" >> "$2"; done ;;
--restore)
    for line in $(cat "$2"); do echo "${line#*:}" > "${line%%:*}"; done ;;
"")
    sleep "$(cat "$board/slow" 2> /dev/null || echo 0)"
    echo 0 > "$gpu/railgate_enable"
    for knob in $knobs; do
        high=$(echo "$knob" | sed s/min_freq/max_freq/)
        [ "$high" = "$knob" ] || cat "$high" > "$knob"
    done ;;
esac
exit 0
"""
NVPMODEL = """#!/bin/sh
board=$(cd "$(dirname "$0")/../.." && pwd)
echo nvpmodel begins "$@" >> "$board/calls"
case "$1" in
-q) printf 'NV Power Mode: MODE_%s\\n%s\\n' "$(cat "$board/mode")" "$(cat "$board/mode")" ;;
-m)
    if [ -e "$board/wants_reboot" ]; then
        echo "NVPM WARN: Reboot required for changing to this power mode: $2"
        read -r answer
        [ "$answer" = YES ] || exit 0
    fi
    sleep "$(cat "$board/slow" 2> /dev/null || echo 0)"
    echo "$2" > "$board/mode" ;;
esac
echo nvpmodel ends "$@" >> "$board/calls"
"""
# The settings, held in a process of their own by the agent's code, until its stdin ends; a line on it is `at_most`.
HOLD = """
import json, sys
from pathlib import Path
bundle, home, root, clocks = sys.argv[1:]
sys.path.insert(0, bundle)
from explorer_agent.clocks import board_settings
with board_settings(Path(home), clocks=clocks, root=Path(root)) as settings:
    print(json.dumps(settings.report), flush=True)
    for line in sys.stdin:
        settings.at_most(float(line))
        print("heard", flush=True)
"""


class Board:
    """A board with two clusters of processors, a GPU, and a memory that nobody may pin."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for policy, low, high in (("policy0", 729600, 2201600), ("policy4", 115200, 1497600)):
            self.put(f"{CPU}/cpufreq/{policy}/scaling_governor", "schedutil")
            self.put(f"{CPU}/cpufreq/{policy}/scaling_available_governors", "performance schedutil userspace")
            self.put(f"{CPU}/cpufreq/{policy}/scaling_min_freq", low)
            self.put(f"{CPU}/cpufreq/{policy}/scaling_max_freq", high)
            self.put(f"{CPU}/cpufreq/{policy}/cpuinfo_max_freq", 2201600)
        for core in range(8):
            (root / f"{CPU}/cpu{core}").mkdir()
            (root / f"{CPU}/cpu{core}/cpufreq").symlink_to(f"../cpufreq/policy{core // 4 * 4}")
        self.put(f"{GPU}/min_freq", 306000000)
        self.put(f"{GPU}/max_freq", 1300500000)
        self.put(RAILGATE, 1)
        memory = "sys/devices/platform/emc/devfreq/emc"
        self.put(f"{memory}/min_freq", 1)
        self.put(f"{memory}/max_freq", 2)
        (root / "sys/class/devfreq").mkdir(parents=True)
        for device in (GPU, memory):
            (root / "sys/class/devfreq" / Path(device).name).symlink_to(root / device)
        self.put(BOOT, "first-boot")

    def put(self, name: str, text: object) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")

    def get(self, name: str) -> str:
        return (self.root / name).read_text().strip()

    def knobs(self) -> dict[str, str]:
        """Everything below /sys as it is now."""
        files = [path for path in sorted((self.root / "sys").rglob("*")) if path.is_file()]
        return {str(path.relative_to(self.root)): path.read_text().strip() for path in files}

    def give(self, name: str, script: str, place: str = "usr/bin") -> None:
        """Have the board come with a program."""
        self.put(f"{place}/{name}", script)
        (self.root / place / name).chmod(0o755)
        (self.root / "run").mkdir(exist_ok=True)

    def calls(self) -> list[str]:
        path = self.root / "calls"
        return path.read_text().splitlines() if path.exists() else []


class Holder:
    """A process that holds the board's settings."""

    def __init__(self, bundle: Path, home: Path, board: Board, *, clocks: str = "lock", python: str = "") -> None:
        words = [
            python or sys.executable,
            "-I",
            "-W",
            "error",
            "-c",
            HOLD,
            str(bundle),
            str(home),
            str(board.root),
            clocks,
        ]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    def report(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        found: dict[str, Any] = json.loads(line)
        return found

    def at_most(self, seconds: float) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "heard\n"

    def close(self) -> str:
        """Its last words; none the second time."""
        if self.process.stdout is not None and self.process.stdout.closed:
            return ""
        return self.process.communicate(timeout=60)[1]


def without_override(folder: Path, python: str = sys.executable) -> str:
    """An interpreter for which a file's mode holds, also when it is root's: as for the agent's account on a board."""
    if os.geteuid() != 0:
        return python
    assert shutil.which("setpriv"), "util-linux's setpriv takes root's override away"
    wrapper = folder / "python"
    wrapper.write_text(f'#!/bin/sh\nexec setpriv --bounding-set -dac_override,-dac_read_search {python} "$@"\n')
    wrapper.chmod(0o755)
    return str(wrapper)
