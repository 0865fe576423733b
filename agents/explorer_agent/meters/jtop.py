"""jtop: power as jetson-stats' service tells it, once a second. For boards where the sensors themselves cannot be read,
a container without /sys for one: `ina3221` reads the same chips fifty times as often, and is asked first.

    jtop.service ══► jtop_client.py ──a line a second──► Jtop.read()   each line once, as it comes
    (root)           a process of its own                              none comes: the meter fails, it never repeats

Of what it tells, each rail's `power` and `tot` are taken, never `avg`: that is no mean over a window but
(power + last avg) // 2 at each tick. What `tot` is depends on the board, so its name is stored with it.

    VIN, VDD_IN or POM_5V_IN is there    tot is that rail, which jtop takes out of the others      jtop_tot/1
    none of them (AGX Xavier, AGX Orin)  tot is the sum of all rails                               jtop_tot/1
    … and supplies are among them        what USB-C delivers is in that sum before jetson-stats    jtop_rails/1
                                         7.2.2: the total is the sum of the sensors' rails

Source: jetson-stats 4.2.12 to 7.2.2 as it answers; facts are its documentation's (rnext.it/jetson_stats).
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import math
import os
import pkgutil
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Mapping, Sequence

from explorer_agent import jetson, rails, sysfs

INTERVAL_S = 1.0  # asked for; the first client of the service decides for all of them
SOCKET = Path("/run/jtop.sock")
ANSWER_S = 30.0  # importing jetson-stats takes seconds on a small board
STALE, GRACE_S = 3.0, 1.0  # so many intervals, and a moment, after which what was told is no reading any more
_PLACES = ("/usr/local/bin", "/usr/bin", "~/.local/bin")
_PYTHON = re.compile(r"(/\S*python[\d.]*)")
_LOOK = "see systemctl status jtop"
# Of the last two: its client was about to ask once more when the service, or its socket, was gone already.
_GONE = (
    "Lost connection",
    "EOFError",
    "ConnectionResetError",
    "BrokenPipeError",
    "ConnectionRefusedError",
    "FileNotFoundError",
)
# A piece of what jetson-stats says, or the name of its exception → what it means, and what to do.
_MEANINGS = (
    ("No module named", "jetson-stats is not installed for {python}: sudo pip3 install jetson-stats"),
    ("not active", "jtop's service does not run: sudo jtop --install-service, or sudo systemctl start jtop"),
    ("can't access", "this account may not use jtop's service: sudo usermod -aG jtop $USER, then log in again"),
    (
        "Mismatch version",
        "jtop's service and {python} have different versions ({said}): sudo pip3 install --upgrade jetson-stats, then "
        "sudo systemctl restart jtop",
    ),
    ("Mismatch of Python", "jtop's service runs under another Python than {python}: install jetson-stats for one only"),
    ("Authentication", "jtop's service is not of the jetson-stats that {python} has: install one only, restart jtop"),
    *((gone, "jtop's service went away: " + _LOOK) for gone in _GONE),
    ("Error connection", "jtop's service has nothing to tell: " + _LOOK),
    ("Empty", "jtop's service does not answer: " + _LOOK),
)


class Jtop:
    """Watts of the rails that jtop names, and its total as the last of them."""

    name = "jtop"
    quantity = "W"
    period_s = INTERVAL_S
    what = "a Jetson's sensors through jetson-stats, once a second"

    def __init__(self, wanted: Mapping[str, Any]) -> None:
        self._python = str(wanted.get("python") or "")
        self.mendable = False
        self._client: _Client | None = None
        self._rails: list[str] = []
        self._supplies: list[str] = []
        self._total: dict[str, Any] = {}

    def available(self) -> str:
        python = self._python or _interpreter()
        self.mendable = bool(python or jetson.facts())
        if not python:
            return "jetson-stats is not installed: sudo pip3 install jetson-stats, then sudo jtop --install-service"
        self.close()
        try:
            self._client = _Client(python)
            first = self._client.first()
        except JtopError as error:
            self.close()
            return str(error)
        except OSError as error:
            return f"the Python of jetson-stats cannot be started: {error}"
        self._rails = sorted(first["rails"])
        self._total = first["total"]
        self._supplies = [name for name in self._rails if _is_supply(name, first["rails"][name])]
        if not self._rails and first["total"].get("power") is None:
            self.close()
            return "jtop tells of no power sensor on this board"
        return ""

    def rails(self) -> Sequence[str]:
        return [*self._rails, self._total.get("name") or "tot"] if self._total else []

    def read(self) -> Sequence[float]:
        """Watts now.

        Raises:
            JtopError: the service or its client went away, or has told nothing new for too long.
        """
        assert self._client is not None
        told = self._client.next()
        found = [_watts(told["rails"].get(name)) for name in self._rails]
        return [*found, self._total_w(told, found)]

    def facts(self) -> dict[str, Any]:
        client = self._client
        interval_s = client.interval_s if client else INTERVAL_S
        chips_s = max((lag.seconds or 0.0 for lag in rails.lags()), default=0.0)
        told = {
            "estimated": False,
            "version": client.version if client else "",
            "python": client.python if client else "",
            "interval_s": interval_s,
            "lag_s": interval_s + chips_s,
            "lag_means": f"the service reads every {interval_s:g} s, as its first client asked; its sensors smooth too",
            "client_cpu_s": client.cpu_s() if client else 0.0,
        }
        return dict(told, **self._totals())

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None

    def _totals(self) -> dict[str, Any]:
        """Which rails make the total: what jtop calls `tot`, unless that adds supplies to sensors."""
        if not self._total:
            return {}
        last, name = len(self._rails), self._total.get("name")
        means = f"jtop's total: the rail {name}" if name else "jtop's total: the sum of all its rails"
        supplies = [] if name else self._supplies
        if not supplies:
            return {"policy": "jtop_tot/1", "total": [last], "means": means}
        doubt = f"jtop adds to it what supplies deliver: {', '.join(supplies)}"
        other = {"policy": "jtop_tot/1", "rails": [last], "means": means, "doubt": doubt}
        sensors = [number for number, rail in enumerate(self._rails) if rail not in supplies]
        means = "the sum of the rails that have a sensor; jtop's own total adds supplies"
        return {"policy": "jtop_rails/1", "total": sensors, "means": means, "totals": [other]}

    def _total_w(self, told: Mapping[str, Any], found: Sequence[float]) -> float:
        """What jtop calls tot. Of a rail that answers with an error jtop's sum says nothing: then there is none; and if
        that rail was the total, jtop takes the sum of the others for it.
        """
        total = told["total"]
        if total.get("name") != self._total.get("name") or set(told["rails"]) != set(self._rails):
            return math.nan
        if not total.get("name") and any(map(math.isnan, found)):
            return math.nan
        return _watts(total)


class JtopError(RuntimeError):
    """jtop cannot be read: why, and what to do."""


class _Client:
    """The process that talks to the service; ends when whoever holds its stdin is gone."""

    def __init__(self, python: str) -> None:
        self.python = python
        self.version = ""
        self.interval_s = INTERVAL_S
        self.told = 0  # lines
        self._newest: dict[str, Any] = {}
        self._text = b""
        self._fresh = False
        source = (pkgutil.get_data("explorer_agent.meters", "jtop_client.py") or b"").decode("ascii")
        self._process = subprocess.Popen(
            [python, "-c", source, str(INTERVAL_S)],
            cwd="/",  # where -c looks for modules first
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def first(self) -> dict[str, Any]:
        """A reading, which `next` gives too."""
        found = self.next(ANSWER_S)
        self._fresh = True
        return found

    def next(self, within_s: float | None = None) -> dict[str, Any]:
        """The newest reading that was not given yet, waiting for the service's next tick where there is none: so none
        is missed or taken twice, though both of us count seconds.
        """
        patience_s = within_s or STALE * self.interval_s + GRACE_S
        deadline = time.perf_counter() + patience_s
        self._drain(0.0)
        while not self._fresh:
            left_s = deadline - time.perf_counter()
            if left_s <= 0:
                raise JtopError(f"jtop's service has told nothing new for {patience_s:g} s: {_LOOK}")
            self._drain(left_s)
        self._fresh = False
        return self._newest

    def close(self) -> None:
        """End it."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        try:
            self._process.wait(1.0)
        except subprocess.TimeoutExpired:  # it hangs in the service's socket
            self._process.kill()
            self._process.wait()

    def cpu_s(self) -> float:
        """Processor time that it has cost so far, its start included; the service's own is the service's secret."""
        fields = (sysfs.text(Path(f"/proc/{self._process.pid}/stat")) or "").rpartition(")")[2].split()
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")

    def _drain(self, within_s: float) -> None:
        """Take in every line there is, waiting `within_s` for the first."""
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        while select.select([pipe], [], [], within_s)[0]:
            data = os.read(pipe, 1 << 16)
            if not data:
                raise JtopError("the client of jtop's service ended without a word")
            *lines, self._text = (self._text + data).split(b"\n")
            for line in lines:
                self._take(json.loads(line.decode("ascii")))
            within_s = 0.0

    def _take(self, told: dict[str, Any]) -> None:
        self.told += 1
        if "error" in told:
            raise JtopError(_in_words(told, self.python))
        self.version = told.get("version", self.version)
        if "rails" in told and told["uptime_s"] != self._newest.get("uptime_s"):  # else it repeats what it said last
            self._newest, self._fresh, self.interval_s = told, True, float(told["interval_s"])


def _is_supply(name: str, facts: Mapping[str, Any]) -> bool:
    """Whether it is one of the kernel's power supplies, which jtop shows among the sensors' rails."""
    return name.startswith("ucsi-source-psy-") or "status" in facts or not facts.get("type", "INA").startswith("INA")


def _watts(facts: Mapping[str, Any] | None) -> float:
    """Watts of one rail; NaN where it has no reading: not told, switched off or gated (no voltage, or below zero)."""
    power = (facts or {}).get("power")
    volts = (facts or {}).get("volt")
    if not isinstance(power, (int, float)) or power < 0 or (volts is not None and volts <= 0):
        return math.nan
    return power / 1e3


def _in_words(told: Mapping[str, Any], python: str) -> str:
    said = " ".join(str(told["error"]).split())
    for piece, meaning in _MEANINGS:
        if piece in said or piece == told.get("kind"):
            return meaning.format(python=python, said=said.partition(". ")[0])
    return f"{told.get('kind')}: {said}"


def _interpreter() -> str:
    """The Python that jetson-stats is installed for: that of its command `jtop`, else ours; empty for none."""
    path = os.pathsep.join([os.environ.get("PATH", ""), *map(os.path.expanduser, _PLACES)])
    command = shutil.which("jtop", path=path)
    if command:
        with contextlib.suppress(OSError, UnicodeDecodeError), open(command, encoding="utf-8") as file:
            named = _PYTHON.search(file.readline() + file.readline())  # the second line where the path is a long one
            if named and os.access(named.group(1), os.X_OK):
                return named.group(1)
    return sys.executable if command or SOCKET.exists() or importlib.util.find_spec("jtop") else ""
