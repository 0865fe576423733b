"""A process of its own that holds the connection to jetson-stats' service, and prints a line of JSON a reading.

    jtop.service --socket--> this process --stdout--> meters/jtop.py, in the agent
                             stdin's end is its own end

Run by the Python that jetson-stats is installed for, which need not be the agent's: so this file is handed over as
text, in ASCII, needs nothing of ours, and keeps to what Python 3.6 understands (JetPack 4). jetson-stats is AGPL-3: it
is imported here, if the board's owner has installed it, and nowhere else.
"""

import json
import os
import select
import sys
from typing import Any, Dict

WATCH_S = 0.5
TOLD = ("name", "power", "volt", "type", "status")
NICE = 5  # what is measured goes first


def tell(fields: Dict[str, Any]) -> None:
    os.write(1, (json.dumps(fields) + "\n").encode("ascii"))


def reading(jetson: Any) -> None:
    """What the service said last; its own uptime tells whether that is new."""
    power = jetson.power
    rails, total = power.get("rail", {}), power.get("tot", {})
    tell(
        {
            "uptime_s": jetson.uptime.total_seconds(),
            "interval_s": jetson.interval,
            "rails": {name: {key: rail[key] for key in TOLD if key in rail} for name, rail in rails.items()},
            "total": {key: total[key] for key in TOLD if key in total},
        }
    )


def main(interval_s: float) -> None:
    """Read until nobody holds our stdin any more, or the service is lost."""
    os.nice(NICE)
    import jtop

    with jtop.jtop(interval=interval_s) as jetson:
        tell({"version": getattr(jtop, "__version__", "")})
        reading(jetson)
        jetson.attach(reading)
        # ok() is not asked to wait: once it has waited in vain it says no for ever.
        while jetson.ok(spin=True):
            if select.select([0], [], [], WATCH_S)[0] and not os.read(0, 1024):
                os._exit(0)  # its threads would be waited for


if __name__ == "__main__":
    try:
        main(float(sys.argv[1]))
    except BaseException as error:  # noqa: BLE001  all of it is told to the agent, in whose words it ends up
        tell({"error": str(error) or repr(error), "kind": type(error).__name__, "python": sys.version.split()[0]})
        os._exit(1)
