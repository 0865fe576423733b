"""The boards of a study: equal ones that share its candidates, each with a thread of its own.

Fleet ── hand ──► Member ──► Duties
      ◄─ events ─   │        what is done on every board: connect, compare, reference, evaluate
                    └ away, tried again, back: alike? still the same board
BuildServer  one more of their kind, that builds their engines
"""

from explorer.fleet.fleet import Fleet

__all__ = ["Fleet"]
