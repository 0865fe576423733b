"""What a user writes to name a board, ``ssh://[user@]host[:port]``, taken apart."""

from __future__ import annotations

from dataclasses import dataclass

from explorer.transports.specs import check_address

SCHEME = "ssh://"


@dataclass(frozen=True)
class Address:
    """A board as it was named; what is not said is left to ~/.ssh/config."""

    host: str  # or an alias of ~/.ssh/config
    user: str = ""
    port: int = 0

    @classmethod
    def of(cls, spec: str) -> Address:
        """Read ``ssh://[user@]host[:port]``.

        Raises:
            BadInput: it is not such an address, or holds a password.
        """
        user, _, place = check_address(spec).removeprefix(SCHEME).rpartition("@")
        if place.startswith("["):
            host, _, port = place[1:].partition("]")
        else:
            host, _, port = place.partition(":")
        return cls(host, user, int(port.removeprefix(":") or 0))

    @classmethod
    def of_hop(cls, word: str) -> Address:
        """Read one word of ProxyJump: ``[user@]host[:port]``, or the same with ssh:// before it."""
        return cls.of(word if word.startswith(SCHEME) else SCHEME + word)
