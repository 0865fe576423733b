"""What of a board decides whether an engine can exist on it: GPU, DLA, and the releases of its software.

    hello ──► Target.of_capabilities ──┐
    TARGETS, by name ──────────────────┴──► rules        None or (): not known, and nothing is refused for it

What the board tells comes first; the tables below fill in what it does not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from explorer.errors import BadInput, Problem
from explorer.oracle.sources import SOURCES
from explorer.registry import nearest

Version = tuple[int, ...]


@dataclass(frozen=True)
class Target:
    """Facts about one board.

    Attributes:
        module: one of `MODULES`, "" for a board that is none of them.
        soc: tegra234 and the like; "" when it is not told.
        sm: compute capability of the GPU, major and minor digit by digit (87); None when it is not known.
        dla_cores: None when they are not known.
        dla_version: 1 Xavier's, 2 Orin's, 0 none; None when it is not known.
        jetpack: "6.2.2", "" when it is not told.
        l4t: "36.5.0", "" when it is not told.
        tensorrt: (10, 3, 0), () when it is not known.
        parser_opset: the highest ONNX opset that its parser is known to read, so the one to export; None: not known.
        source: where the facts are from.
    """

    module: str = ""
    soc: str = ""
    sm: int | None = None
    dla_cores: int | None = None
    dla_version: int | None = None
    jetpack: str = ""
    l4t: str = ""
    tensorrt: Version = ()
    parser_opset: int | None = None
    source: str = ""

    @classmethod
    def of_capabilities(cls, capabilities: Mapping[str, Any]) -> Target:
        """The board that said `capabilities` in its hello.

        Of the runtime "tensorrt" the version is used and, where they are told, the whole numbers ``sm``, ``dla_cores``
        (as the builder counts them) and ``parser_opset``.
        """
        told = dict(capabilities.get("runtimes", {}).get("tensorrt", {}))
        words = {name: str(capabilities.get(name, "")) for name in ("soc", "jetpack", "l4t")}
        known = _of_module(module_of(str(capabilities.get("module", ""))), soc=words["soc"])
        running = version(str(told.get("version", ""))) or tensorrt_of(words["jetpack"])
        cores = _first(_count(told, "dla_cores"), known.dla_cores)
        return replace(
            known,
            soc=words["soc"] or known.soc,
            jetpack=words["jetpack"],
            l4t=words["l4t"],
            sm=_first(_count(told, "sm"), known.sm),
            dla_cores=cores,
            dla_version=0 if cores == 0 else known.dla_version,
            tensorrt=running,
            parser_opset=_first(_count(told, "parser_opset"), parser_opset(running)),
            source="the board's hello",
        )

    def with_jetpack(self, jetpack: str) -> Target:
        """This board under another JetPack.

        Raises:
            BadInput: there is no such JetPack for it.
        """
        if jetpack not in _RELEASES or self.soc not in _RELEASES[jetpack].socs:
            fitting = [name for name, release in _RELEASES.items() if self.soc in release.socs]
            where = f"no such JetPack for {self.module or 'this board'}"
            raise BadInput(Problem(where, seen=jetpack, allowed=", ".join(fitting), hint=nearest(jetpack, fitting)))
        release = _RELEASES[jetpack]
        known = replace(self, tensorrt=release.tensorrt, parser_opset=parser_opset(release.tensorrt))
        return replace(known, jetpack=jetpack, l4t=release.l4t, source=SOURCES[release.source])

    def with_tensorrt(self, text: str) -> Target:
        """This board with another TensorRT installed, "10.7.0"."""
        return replace(self, tensorrt=version(text), parser_opset=parser_opset(version(text)))

    @property
    def opset_limit(self) -> int | None:
        """The opset beyond which its parser is known to read nothing; None where that is not known."""
        if self.parser_opset and _UNCERTAIN[0] <= self.tensorrt < _UNCERTAIN[1]:
            return max(self.parser_opset, _UNCERTAIN_UP_TO)
        return self.parser_opset

    def __str__(self) -> str:
        software = [f"JetPack {self.jetpack}"] if self.jetpack else []
        software += [f"TensorRT {'.'.join(map(str, self.tensorrt))}"] if self.tensorrt else []
        return " with ".join([self.module or self.soc or "this board", *([", ".join(software)] if software else [])])


@dataclass(frozen=True)
class _Module:
    soc: str
    dla_cores: int
    ids: tuple[str, ...]  # of the module, as the device tree names it
    jetpack: str  # the newest whose TensorRT serves all that the module has


# Module ids: "jetson-modules". DLA cores: Thor has none by TensorRT's support matrix; Orin Nano has none, whatever a
# public page may claim; the others by their data sheets. The builder's own count comes first where it is told.
_MODULES = {
    "nano": _Module("tegra210", 0, ("p3448",), "4.6.6"),
    "tx2": _Module("tegra186", 0, ("p3310", "p3489"), "4.6.6"),
    "xavier-nx": _Module("tegra194", 2, ("p3668",), "5.1.6"),
    "agx-xavier": _Module("tegra194", 2, ("p2888",), "5.1.6"),
    "orin-nano": _Module("tegra234", 0, ("p3767-0003", "p3767-0004", "p3767-0005"), "6.2.2"),
    "orin-nx-8": _Module("tegra234", 1, ("p3767-0001",), "6.2.2"),
    "orin-nx-16": _Module("tegra234", 2, ("p3767-0000",), "6.2.2"),
    "agx-orin-32": _Module("tegra234", 2, ("p3701-0004",), "6.2.2"),
    "agx-orin-64": _Module("tegra234", 2, ("p3701-0000", "p3701-0005", "p3701-0008"), "6.2.2"),
    "thor": _Module("tegra264", 0, ("p3834",), "7.1"),
}
MODULES = tuple(_MODULES)


@dataclass(frozen=True)
class _Release:
    l4t: str
    tensorrt: Version
    socs: tuple[str, ...]
    source: str


_OLD, _XAVIER, _ORIN, _THOR = ("tegra210", "tegra186", "tegra194"), "tegra194", "tegra234", "tegra264"


def _releases() -> dict[str, _Release]:
    """Every JetPack with its L4T and its TensorRT."""
    found = {"4.6": _Release("32.6.1", (8, 0, 1), _OLD, "jetson-modules")}
    found |= {f"4.6.{n}": _Release(f"32.7.{n}", (8, 2, 1), _OLD, "jetson-modules") for n in range(1, 7)}
    fives = ("35.2.1", "35.3.1", "35.4.1", "35.5.0", "35.6.0", "35.6.1", "35.6.4")
    for number, l4t in enumerate(fives):
        name = f"5.1.{number}" if number else "5.1"
        found[name] = _Release(l4t, (8, 5, 2), (_XAVIER, _ORIN), "jetpack-35")
    found["6.0"] = _Release("36.3.0", (8, 6, 2), (_ORIN,), "dla-operators")
    sixes = {"6.1": "36.4.0", "6.2": "36.4.3", "6.2.1": "36.4.4", "6.2.2": "36.5.0", "6.2.3": "36.5.2"}
    found |= {name: _Release(l4t, (10, 3, 0), (_ORIN,), "jetpack-36") for name, l4t in sixes.items()}
    sevens = {"7.0": "38.2.0", "7.1": "38.4.0"}
    found |= {name: _Release(l4t, (10, 13, 3), (_THOR,), "jetpack-38") for name, l4t in sevens.items()}
    newest = {"7.2": "39.2.0", "7.2.1": "39.2.1", "7.2.2": "39.2.2"}
    return found | {name: _Release(l4t, (10, 16, 2), (_THOR, _ORIN), "jetpack-39") for name, l4t in newest.items()}


_RELEASES = _releases()

# Compute capabilities by SoC (Thor is 11.0 to CUDA 13, and was 10.1 to CUDA 12), and the generation of its DLA.
_GPUS = {"tegra210": 53, "tegra186": 62, "tegra194": 72, "tegra234": 87, "tegra264": 110}
_DLAS = {"tegra194": 1, "tegra234": 2}
WITHOUT_INT8 = (53, 62)  # compute capabilities of Nano and TX2: "support-8.6"

# From this TensorRT on the parser is documented to read ONNX up to this opset.
_PARSERS = (
    ((8, 0), 13, "onnx-8.2"),
    ((8, 5), 17, "onnx-8.5"),
    ((8, 6), 17, "onnx-8.6"),
    ((9, 0), 19, "onnx-9.2"),
    ((10, 0), 20, "onnx-10.0"),
    ((10, 15), 24, "onnx-10.15"),
    ((11, 0), 25, "onnx-11"),
)
# Of these releases no document was found: they read what 10.0 reads, and no more than 10.15.
_UNCERTAIN, _UNCERTAIN_UP_TO = ((10, 8), (10, 15)), 24


def version(text: str) -> Version:
    """(10, 3, 0) of "10.3.0.30+cuda12.6": the first three numbers; () where there is none."""
    found = re.match(r"\d+(?:\.\d+)*", text)
    return tuple(int(number) for number in found.group().split(".")[:3]) if found else ()


def tensorrt_of(jetpack: str) -> Version:
    """The TensorRT that a JetPack comes with; () for one that is not in the table."""
    release = _RELEASES.get(jetpack)
    return release.tensorrt if release else ()


def parser_opset(tensorrt: Version) -> int | None:
    """The highest opset that the ONNX parser of a TensorRT is known to read; None where that is not known."""
    return max((opset for first, opset, _ in _PARSERS if first <= tensorrt), default=None)


def parser_source(tensorrt: Version) -> str:
    """The document that says so."""
    tag = next((tag for first, _, tag in reversed(_PARSERS) if first <= tensorrt), "support")
    return SOURCES[tag]


def module_of(number: str) -> str:
    """The name of the module p3701-0005, as the device tree numbers it; "" for one that is not in the table."""
    return next((name for name, module in _MODULES.items() if number.startswith(module.ids)), "")


def _of_module(name: str, *, soc: str) -> Target:
    """What the tables know of a module, or, where it is none of theirs, of its SoC."""
    module = _MODULES.get(name)
    soc = module.soc if module else soc
    cores = module.dla_cores if module else None
    generation = 0 if cores == 0 else _DLAS.get(soc)
    return Target(module=name, soc=soc, sm=_GPUS.get(soc), dla_cores=cores, dla_version=generation)


def _count(told: Mapping[str, Any], name: str) -> int | None:
    number = told.get(name)
    return number if isinstance(number, int) and not isinstance(number, bool) and number >= 0 else None


def _first(told: int | None, known: int | None) -> int | None:
    return known if told is None else told


# Every module under the newest JetPack whose TensorRT serves all of it: Orin's DLA ends with JetPack 6.
TARGETS: Mapping[str, Target] = {
    name: _of_module(name, soc="").with_jetpack(module.jetpack) for name, module in _MODULES.items()
}
