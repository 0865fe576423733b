"""The files of a virtual board: what a Jetson's agent reads of its module, its JetPack, its power modes, clocks and
sensors, and an nvpmodel that changes them.

root/imitation.json   what is simulated here, and what is wrong with it; `World.below` reads it
root/asked.json       what was measured how often: each time with other noise
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any, Iterator, Mapping

from explorer_agent import rails
from explorer_agent.virtual import wiring
from explorer_agent.virtual.boards import Board
from explorer_agent.virtual.faults import Faults
from explorer_agent.virtual.panel import LOWEST, WIDTH
from explorer_agent.virtual.world import ASKED, FILE, World, known

# As the real one does: it asks before it restarts the board, and undoes what jetson_clocks locked.
NVPMODEL = """#!/bin/sh
board=$(cd "$(dirname "$0")/../.." && pwd)
status=$board/var/lib/nvpmodel/status
now=$(sed 's/pmode:0*\\([0-9][0-9]*\\).*/\\1/' "$status")
named() { sed -n "s/.*POWER_MODEL ID=$1 NAME=\\([^ ]*\\) .*/\\1/p" "$board/etc/nvpmodel.conf"; }
case "$1" in
-q) printf 'NV Power Mode: %s\\n%s\\n' "$(named "$now")" "$now" ;;
-m)
    [ -n "$(named "$2")" ] || { echo "NVPM ERROR: Invalid power model $2"; exit 255; }
    if [ -e "$board/wants_reboot/$2" ]; then
        echo "NVPM WARN: Reboot required for changing to this power mode: $2"
        echo "NVPM WARN: DO YOU WANT TO REBOOT NOW? enter YES/yes to confirm:"
        read -r answer
        [ "$answer" = YES ] || exit 0
        echo "boot-$2-$now" > "$board/proc/sys/kernel/random/boot_id"
    fi
    for end in min max cur; do cat "$board/clocks/$2/$end" > "$board/@GPU@/${end}_freq"; done
    printf 'pmode:%04d fmode:fanNull\\n' "$2" > "$status" ;;
esac
"""


def settle(folder: Path, name: str, *, seed: int = 0, faults: Mapping[str, Any] | None = None) -> Path:
    """The board `name` below `folder`, as an earlier agent left it; planted where there is none, or another.

    Raises:
        AgentError: unsupported: there is no such board, or no such fault.
    """
    wanted = described(known(name), seed, faults or {})
    try:
        found = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if found != json.loads(json.dumps(wanted)):
        shutil.rmtree(str(folder), ignore_errors=True)
        plant(folder, name, seed=seed, faults=faults)
    (folder / ASKED).write_text("{}", encoding="ascii")  # the same questions in another session: the same answers
    return folder


def plant(root: Path, name: str, *, seed: int = 0, faults: Mapping[str, Any] | None = None) -> Path:
    """Write the files of the board `name` below `root`, which is made; returns it.

    Raises:
        AgentError: unsupported: there is no such board, or no such fault.
    """
    board = known(name)
    told = Faults.of(faults or {}, board)
    for path, text in _files(board, seed, faults or {}, told):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    (root / "usr/sbin/nvpmodel").chmod(0o755)
    (root / "run").mkdir(exist_ok=True)
    _link(root, board)
    World.below(root).rest()
    return root


def described(board: Board, seed: int, faults: Mapping[str, Any]) -> dict[str, Any]:
    """What `imitation.json` says: of the machine, what is not told by files, and what is simulated."""
    return {
        "settle_s": 0,
        "simulated": board.name,
        "machine": {"machine": "aarch64", "cores": wiring.of(board).cores},
        "virtual": {"seed": seed, "faults": dict(faults)},
    }


def _files(board: Board, seed: int, faults: Mapping[str, Any], told: Faults) -> Iterator[tuple[str, str]]:
    yield FILE, json.dumps(described(board, seed, faults))
    yield ASKED, "{}"
    yield from _identity(board)
    yield from _modes(board, told)
    yield from _clocks(board)
    yield from (_iio if wiring.of(board).iio else _hwmon)(board, told)
    for number, zone in enumerate(wiring.of(board).zones):
        yield f"{wiring.ZONES.format(number)}/type", f"{zone}\n"
        yield f"{wiring.ZONES.format(number)}/temp", " " * WIDTH
    yield f"{wiring.ALARM}/type", f"{wiring.of(board).alarm}\n"
    yield f"{wiring.ALARM}/cur_state", "0\n"


def _identity(board: Board) -> Iterator[tuple[str, str]]:
    major, _, revision = board.l4t.partition(".")
    joined = f"{wiring.of(board).carrier}+{board.module}"
    yield "proc/device-tree/model", f"{board.model} (virtual)\0"
    yield "proc/device-tree/compatible", f"nvidia,{joined}\0nvidia,{board.module}\0nvidia,{board.soc}\0"
    yield "etc/nv_tegra_release", f"# R{major} (release), REVISION: {revision}, GCID: 0, BOARD: virtual\n"
    yield "proc/sys/kernel/random/boot_id", "first\n"
    memory = {"MemTotal": board.memory_mb, "MemAvailable": int(board.memory_mb * 0.8), "SwapTotal": 0, "SwapFree": 0}
    yield "proc/meminfo", "".join(f"{name}: {number * 1024} kB\n" for name, number in memory.items())


def _modes(board: Board, faults: Faults) -> Iterator[tuple[str, str]]:
    lines = [f"< POWER_MODEL ID={mode.number} NAME={name} >\n" for name, mode in board.modes.items()]
    default = board.modes[board.default_mode].number
    yield "etc/nvpmodel.conf", "".join([*lines, f"< PM_CONFIG DEFAULT={default} >\n"])
    yield "var/lib/nvpmodel/status", f"pmode:{default:04d} fmode:fanNull\n"
    yield "usr/sbin/nvpmodel", NVPMODEL.replace("@GPU@", wiring.of(board).gpu)
    for name, mode in board.modes.items():
        high = int(board.gpu_hz(mode))
        for end, hertz in (("min", int(high * LOWEST)), ("max", high), ("cur", int(high * LOWEST))):
            yield f"clocks/{mode.number}/{end}", f"{hertz}\n"
            if mode.number == default:
                yield f"{wiring.of(board).gpu}/{end}_freq", f"{hertz}\n"
        if name in faults.reboot_modes:
            yield f"wants_reboot/{mode.number}", ""


def _clocks(board: Board) -> Iterator[tuple[str, str]]:
    wires = wiring.of(board)
    mode = board.modes[board.default_mode]
    low, high = wires.cpu_khz
    for core in range(wires.cores):
        folder = wiring.CPU.format(core)
        for name, text in (("min", low), ("max", high), ("cur", high)):
            yield f"{folder}/scaling_{name}_freq", f"{text}\n"
        yield f"{folder}/scaling_governor", "schedutil\n"
        yield f"{folder}/scaling_available_governors", "performance schedutil\n"
    if wires.load:
        yield wires.load, "0\n"
    yield wiring.EMC, f"{int(mode.bandwidth_gbs * 1e9 / 64)}\n"
    for core in range(board.dla_cores):
        yield wires.dla(core), "suspended\n"
        yield wiring.DLA_CLOCK.format(core), f"{int(board.dla_hz(mode))}\n"


def _iio(board: Board, faults: Faults) -> Iterator[tuple[str, str]]:
    wires = wiring.of(board)
    for name, channel in wires.channels.items():
        if name in faults.dead_rails:
            continue
        folder, number = wires.folder(channel.chip), wires.channel_number(name) - 1
        yield f"{folder}/rail_name_{number}", f"{name}\n"
        yield f"{folder}/in_voltage{number}_input", f"{channel.millivolts}\n"
        yield f"{folder}/in_current{number}_input", "0\n"


def _hwmon(board: Board, faults: Faults) -> Iterator[tuple[str, str]]:
    wires = wiring.of(board)
    for name, channel in wires.channels.items():
        folder, number = wires.folder(channel.chip), wires.channel_number(name)
        yield f"{folder}/name", "ina238\n" if name == "VIN" else "ina3221\n"
        yield f"{folder}/in{number}_label", f"{name}\n"
        yield f"{folder}/in{number}_input", f"{channel.millivolts}\n"
        yield f"{folder}/in{number}_enable", f"{int(name not in faults.dead_rails)}\n"
        yield f"{folder}/shunt{number}_resistor", f"{channel.microohms}\n"
        yield f"{folder}/curr{number}_input", "0\n"
        if name == "VIN":
            yield f"{folder}/power1_input", "0\n"
        else:
            yield f"{folder}/samples", f"{faults.samples}\n"
            yield f"{folder}/update_interval", f"{round(rails.CONVERSION_S * 1000)}\n"
    folder = wires.folder(wiring.OVER_CURRENT)
    yield f"{folder}/name", "soctherm_oc\n"
    for number in (1, 2, 3):
        yield f"{folder}/oc{number}_event_cnt", "0\n"


def _link(root: Path, board: Board) -> None:
    """As the kernel does: the chip's folder is known by its class too, and leads back to the chip."""
    wires = wiring.of(board)
    for chip in () if wires.iio else wires.chips:
        folder = root / wires.folder(chip)
        named = root / "sys/class/hwmon" / folder.name
        named.parent.mkdir(parents=True, exist_ok=True)
        named.symlink_to(os.path.relpath(str(folder), str(named.parent)))
        (folder / "device").symlink_to("../..")
