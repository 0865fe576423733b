"""The board that a face pretends to run on, and what goes wrong there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .cudart import FakeCudart

FAULT = "face.fault"  # a network's own, in its metadata_props
FAULTS = ("", "memory", "workspace", "implementation", "loadables", "device", "silence", "no context", "no inference")


@dataclass
class World:
    sm: int = 87
    dla_cores: int = 2
    fault: str = ""
    takes_flags: bool = True  # False: the builder keeps every layer in fp32, whatever the flags
    cuda: Any = field(default_factory=FakeCudart)  # or a CompiledCudart
    seen: list[Any] = field(default_factory=list)  # builder configurations, as they were used
    cores_loaded: list[int] = field(default_factory=list)  # DLA cores, by plans as they were loaded

    def __post_init__(self) -> None:
        assert self.fault in FAULTS, self.fault
        if isinstance(self.cuda, FakeCudart):
            self.cuda.sm = self.sm
