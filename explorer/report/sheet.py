"""What is printed on a terminal, written as text: as wide as the terminal, in colour only where somebody looks."""

from __future__ import annotations

import io

from rich.console import Console


class Sheet:
    """``sheet.console.print(…)``, then `text`."""

    def __init__(self, *, width: int | None = None, colour: bool | None = None) -> None:
        """Begin an empty one.

        Args:
            width: columns of the terminal; by default the terminal is asked, and 80 taken where there is none.
            colour: whether to use it; by default only on a terminal, and never where ``NO_COLOR`` is set.
        """
        outside = Console()
        coloured = outside.is_terminal if colour is None else colour
        self._written = io.StringIO()
        self.console = Console(
            file=self._written,
            width=width or outside.width,
            force_terminal=coloured,
            no_color=not coloured,
            highlight=False,
        )

    @property
    def text(self) -> str:
        """What was printed, without blanks at the ends of lines."""
        return "".join(f"{line.rstrip()}\n" for line in self._written.getvalue().splitlines())
