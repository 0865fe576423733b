"""How the board is doing at this moment: heat, throttling, a desktop, other programs."""

from __future__ import annotations

import time
from typing import Iterator

from explorer_agent import board, jetson, sysfs
from explorer_agent.doctor.look import NOTE, OK, WARN, Finding, Look, cpu_seconds, finding

WATCH_S = 1.0
HOT_C = 80.0
BUSY = 0.1  # of one core
_WATCHERS = {"tegrastats", "jtop"}
_EVENTS = {"oc1": "under-voltage", "oc2": "over-current", "oc3": "current peaks", "heat": "too hot"}


def temperature(look: Look) -> Iterator[Finding]:
    zones = board.zones_c(look.root)
    name = board.hottest(zones)
    if not name:
        yield finding("temperature", NOTE, "no sensor can be read from here")
    elif zones[name] < HOT_C:
        yield finding("temperature", OK, f"{zones[name]:.0f} °C at its hottest ({name}, of {len(zones)} sensors)")
    else:
        advice = "let it cool down; a fan, or a lower power mode"
        because = f"the board is hot ({zones[name]:.0f} °C) and may throttle"
        yield finding("temperature", WARN, f"{zones[name]:.0f} °C ({name})", advice, because=because)


def throttling(look: Look) -> Iterator[Finding]:
    _wait(look)
    alarms, counts = jetson.throttling(look.root), jetson.throttle_counts(look.root)
    rising = [name for name, count in counts.items() if count > look.throttled.get(name, 0)]
    told = ", ".join(f"{_EVENTS.get(name, name)} {count}" for name, count in counts.items())
    if alarms or rising:
        names = ", ".join([*alarms, *(_EVENTS.get(name, name) for name in rising)])
        advice = "a lower power mode, a stronger supply, or cooling"
        because = f"the board is holding its clocks back ({names})"
        yield finding("throttling", WARN, f"going on now: {names}", advice, because=because)
    elif counts:
        yield finding("throttling", OK, f"none now; events since the start: {told}")
    else:
        yield finding("throttling", NOTE, "no counter of it can be read from here")


def desktop(look: Look) -> Iterator[Finding]:
    running = board.desktop(look.root)
    if running:
        advice = "sudo systemctl isolate multi-user.target (the power mode may need setting again)"
        because = "a desktop is running, which uses GPU and power"
        yield finding("desktop", WARN, f"running: {', '.join(running)}", advice, because=because)
    else:
        yield finding("desktop", OK, "none running")
    watchers = sorted({name for _, name in sysfs.texts(look.root, "proc/[0-9]*/comm") if name in _WATCHERS})
    if watchers:
        found = f"{', '.join(watchers)} reads the same power sensors"
        yield finding("desktop", NOTE, found, "end it while measuring")


def others(look: Look) -> Iterator[Finding]:
    """Who else uses the processor and the GPU."""
    if look.simulated:  # whoever does disturbs nothing
        return
    _wait(look)
    shares, total = _others_cores(look)
    if total > BUSY:
        top = sorted(shares, key=lambda pid: shares[pid], reverse=True)[:3]
        names = [f"{_name(look, pid)} (process {pid})" for pid in top if shares[pid] > BUSY / 2]
        found = f"others use {total:.1f} cores: {', '.join(names) or 'programs that cannot be seen from here'}"
        yield finding("load", WARN, found, "end them, or wait", because=f"other programs use {total:.1f} cores")
    else:
        yield finding("load", OK, "no other program uses the processor")
    gpu = jetson.gpu_load(look.root)
    if gpu is not None and gpu > BUSY:
        because = "another program uses the GPU"
        yield finding("load", WARN, f"the GPU is {gpu:.0%} busy", "end what uses it", because=because)


def _others_cores(look: Look) -> tuple[dict[int, float], float]:
    """Cores in use by each process that is not ours, and by all of them: those of other containers too, which only the
    kernel's sum over everybody tells of.
    """
    now, busy_s = cpu_seconds(look.root), board.busy_s(look.root)
    spent = max(time.monotonic() - look.began, 0.01)
    shares = {pid: (seconds - look.cpu_s[pid]) / spent for pid, seconds in now.items() if pid in look.cpu_s}
    ours = shares.pop(0)
    total = sum(shares.values())
    if busy_s is None or look.busy_s is None:
        return shares, total
    return shares, max(total, (busy_s - look.busy_s) / spent - ours)


def _wait(look: Look) -> None:
    """Until enough time has passed for counters to mean something."""
    time.sleep(max(0.0, look.began + WATCH_S - time.monotonic()))


def _name(look: Look, pid: int) -> str:
    return sysfs.text(look.root / "proc" / str(pid) / "comm") or "ended by now"
