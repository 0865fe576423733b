"""The power sensors of a virtual board: the agent's own reader of them, over files that no sensor wrote."""

from __future__ import annotations

from typing import Any, Mapping

from explorer_agent import sysfs
from explorer_agent.meters.ina3221 import Ina3221


class VirtualIna3221(Ina3221):
    """Watts of every rail, and a word that says where they come from."""

    what = "simulated: the power sensors of a virtual Jetson, 20 times a second of its own time"

    def facts(self) -> dict[str, Any]:
        found = super().facts()
        doubt = "; ".join(filter(None, [found["doubt"], "no sensor read it: the board is virtual"]))
        return dict(found, simulated=True, means=f"simulated: {found['means']}", doubt=doubt)


def meter(wanted: Mapping[str, Any]) -> VirtualIna3221:
    """The meter of the board that this process serves."""
    return VirtualIna3221(wanted, root=sysfs.ROOT)


meter.what = VirtualIna3221.what  # type: ignore[attr-defined]
