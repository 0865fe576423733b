"""``python -m explorer`` is ``explorer``."""

from __future__ import annotations

from explorer.cli import main

main()
