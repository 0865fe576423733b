"""``python3 explorer-agent.pyz serve``: what runs on the board."""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

import explorer_agent

if sys.version_info < (3, 8):  # noqa: UP036  the board's Python is what it is, and may be older than what we are packaged for
    sys.exit(f"explorer-agent needs Python 3.8 or newer, this is {sys.version.split()[0]}")


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(
        prog="explorer-agent", description="Build, measure and run networks on this device for an explorer host."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="serve one host on stdin and stdout")
    serve.add_argument(
        "--home", type=Path, default=Path.home() / ".cache/explorer-agent", help="where engines and replies are kept"
    )
    serve.add_argument(
        "--plugin", action="append", default=[], metavar="MODULE", help="a module with RUNTIMES or METERS of its own"
    )
    serve.add_argument(
        "--runtime",
        action="append",
        default=[],
        metavar="NAME",
        help="only this runtime, of all there are; may be repeated",
    )
    serve.add_argument(
        "--wait", type=float, default=5.0, metavar="S", help="how long to wait for the device when it is in use"
    )
    serve.add_argument(
        "--linger", type=float, default=0.0, metavar="S", help="how long a job may go on after the host has gone"
    )
    given = parser.parse_args(arguments)

    from explorer_agent.serve import serve as run

    chosen = {"plugins": given.plugin, "only": given.runtime}
    return run(given.home, chosen=chosen, wait_s=given.wait, linger_s=given.linger, agent_sha=own_sha256())


def own_sha256() -> str:
    """sha256 of the zip file this runs from; empty when it runs from a folder."""
    bundle = Path(explorer_agent.__file__).parents[1]
    return hashlib.sha256(bundle.read_bytes()).hexdigest() if bundle.is_file() else ""


if __name__ == "__main__":
    sys.exit(main())
