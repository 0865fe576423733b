"""A call that hangs fails its test instead of stopping all of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

LONGEST_S = 90.0  # nothing here takes more than a second or two, on a machine that is busy


def in_time(call: Callable[[], Any]) -> Any:
    """What `call` returns or raises."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append((call(), None))
        except BaseException as error:  # noqa: BLE001  whatever it is, it is raised again below
            outcome.append((None, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(LONGEST_S)
    assert outcome, "it hangs"
    if outcome[0][1] is not None:
        raise outcome[0][1]
    return outcome[0][0]
