"""``python3 explorer-agent.pyz serve``: what runs on the board; ``restore``: what puts it back after a kill."""

from __future__ import annotations

import argparse
import hashlib
import os
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
    restore = commands.add_parser("restore", help="put back the board's settings that an agent which was killed left")
    home, unsaid = Path.home() / ".cache/explorer-agent", argparse.SUPPRESS
    for command in (serve, restore):
        command.add_argument("--home", type=Path, default=home, help="where engines and replies are kept")
        command.add_argument("--root", help=unsaid)  # another board's, in tests
    _options_of_serve(serve)
    given = parser.parse_args(arguments)
    if given.command == "serve" and not given.simulate and (given.fault or given.seed):
        parser.error("--seed and --fault are of a virtual board: name it with --simulate")
    if given.command == "serve" and given.simulate:
        return _simulate(given)
    if given.root:
        os.environ["EXPLORER_AGENT_ROOT"] = given.root  # before anything reads it, the jobs' processes too
    return _serve(given) if given.command == "serve" else _restore(given)


def _options_of_serve(serve: argparse.ArgumentParser) -> None:
    say = serve.add_argument
    say("--plugin", action="append", default=[], metavar="MODULE", help="a module with RUNTIMES or METERS of its own")
    say("--runtime", action="append", default=[], metavar="NAME", help="only this runtime; may be repeated")
    say("--wait", type=float, default=5.0, metavar="S", help="how long to wait for the device when it is in use")
    say("--linger", type=float, default=0.0, metavar="S", help="how long a job may go on after the host has gone")
    say("--lease", type=float, default=0.0, metavar="S", help="a host silent for so long is gone; 0: until it says so")
    say("--holder", default="", metavar="TEXT", help="who asks, in words: the same words take over an earlier session")
    say(
        "--room-gb", type=float, default=0.0, metavar="GB", help="the most that is kept; 0: 10, or half of what is free"
    )
    say("--clocks", choices=["leave", "lock"], default="leave", help="whether clocks are locked while measuring")
    say(
        "--simulate", default="", metavar="BOARD", help="serve a virtual Jetson (agx-orin-64, nano …): all is simulated"
    )
    say("--seed", type=int, default=0, metavar="N", help="of the virtual board's noise")
    say(
        "--fault",
        action="append",
        default=[],
        metavar="NAME=JSON",
        help="what is wrong with the virtual board, such as fan=0.3; may be repeated",
    )
    say("--reboot", choices=["never", "allow"], default="never", help="whether a power mode may restart the board")


def _simulate(given: argparse.Namespace) -> int:
    """Serve the virtual board, whose files lie below the home."""
    try:
        from explorer_agent.virtual import command
    except ModuleNotFoundError:
        sys.exit("this agent's file holds no virtual boards: it was made for a real one")
    return command.serve(given, _serve)


def _serve(given: argparse.Namespace) -> int:
    from explorer_agent.serve import serve
    from explorer_agent.session import Settings

    settings = Settings(
        home=given.home.expanduser().resolve(),
        chosen={"plugins": given.plugin, "only": given.runtime},
        wait_s=given.wait,
        linger_s=given.linger,
        lease_s=given.lease,
        room_gb=given.room_gb,
        holder=given.holder,
        clocks=given.clocks,
        reboot=given.reboot,
        agent_sha=own_sha256(),
    )
    return serve(settings)


def _restore(given: argparse.Namespace) -> int:
    from explorer_agent.clocks import restore

    return restore(given.home.expanduser().resolve())


def own_sha256() -> str:
    """sha256 of the zip file this runs from; empty when it runs from a folder."""
    bundle = Path(explorer_agent.__file__).parents[1]
    return hashlib.sha256(bundle.read_bytes()).hexdigest() if bundle.is_file() else ""


if __name__ == "__main__":
    sys.exit(main())
