"""Device-side plug-ins: modules named on the command line that bring runtimes or meters of their own.

Such a module holds ``RUNTIMES = {name: runtime}`` or ``METERS = {name: factory}``. It lies in the bundle that the host
sent, where one sha256 covers all code that measured, or is the board's own: installed there, and told by the sha256 of
its file.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
import traceback
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any, Sequence

import explorer_agent
from explorer_agent import meters, runtimes
from explorer_agent.messages import UNSUPPORTED, AgentError

ROOT = Path(explorer_agent.__file__).parents[1]
# What was loaded, for `hello`: name → {"from": "bundle" | "board", "file", "sha256", "runtimes", "meters"}.
LOADED: dict[str, dict[str, Any]] = {}


def load(plugins: Sequence[str], only: Sequence[str] = ()) -> None:
    """Import the modules `plugins` and enter what they bring; keep only the runtimes `only`, unless that is empty.

    Raises:
        AgentError: unsupported: a module that cannot be imported, or a runtime of that name that nobody brings.
    """
    for name in plugins:
        module = _imported(name)
        found = {"runtimes": getattr(module, "RUNTIMES", {}), "meters": getattr(module, "METERS", {})}
        _enter(name, "runtime", runtimes.RUNTIMES, found["runtimes"])
        _enter(name, "meter", meters.METERS, found["meters"])
        LOADED[name] = dict(_origin(module), **{kind: sorted(map(str, brought)) for kind, brought in found.items()})
    unknown = [name for name in only if name not in runtimes.RUNTIMES]
    if unknown:
        known = ", ".join(runtimes.RUNTIMES)
        raise AgentError(UNSUPPORTED, f"unknown runtime {', '.join(unknown)}", hint=f"known: {known}")
    for name in set(runtimes.RUNTIMES).difference(only) if only else ():
        del runtimes.RUNTIMES[name]


def code_of(runtime: str) -> str:
    """sha256 of the code that brought `runtime`, which its engines are bound to; empty for one of the agent's own."""
    return next((facts["sha256"] for facts in LOADED.values() if runtime in facts["runtimes"]), "")


def _imported(name: str) -> ModuleType:
    version = sys.version.split()[0]
    try:
        return importlib.import_module(name)
    except SyntaxError as error:
        place = f"{error.filename}, line {error.lineno}"
        text = f"cannot import the plug-in {name}: {place}: {error.msg} ({(error.text or '').strip()})"
        raise AgentError(UNSUPPORTED, text, hint=f"this board runs Python {version}") from error
    except (Exception, SystemExit) as error:  # whatever somebody's code does when imported
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = "" if isinstance(error, ModuleNotFoundError) else f" ({last.filename}, line {last.lineno})"
        text = f"cannot import the plug-in {name}: {type(error).__name__}: {error}{place}"
        hint = f"is it beside the space file, or installed for this board's Python {version}?"
        trace = traceback.format_exc()
        raise AgentError(UNSUPPORTED, text, hint=hint if not place else "", trace=trace) from error


def _enter(plugin: str, kind: str, known: dict[str, Any], brought: Any) -> None:
    if not isinstance(brought, dict):
        raise AgentError(UNSUPPORTED, f"the plug-in {plugin}: its {kind}s must be a dict, not {type(brought).__name__}")
    for name, entry in brought.items():
        if not isinstance(name, str):
            raise AgentError(UNSUPPORTED, f"the plug-in {plugin}: a {kind} is named by a word, not by {name!r}")
        if known.get(name, entry) is not entry:
            raise AgentError(UNSUPPORTED, f"the plug-in {plugin} brings a {kind} {name!r}, but there is one already")
    known.update(brought)


def _origin(module: ModuleType) -> dict[str, str]:
    """Where a module came from; the sha256 is that of all files of its package in the bundle, or of its one file."""
    file = Path(str(getattr(module, "__file__", "") or ""))
    if not ROOT.is_file() or ROOT not in file.parents:
        code = file.read_bytes() if file.is_file() else b""
        return {"from": "board", "file": str(file), "sha256": hashlib.sha256(code).hexdigest()}
    top = module.__name__.partition(".")[0]
    return {"from": "bundle", "file": str(file.relative_to(ROOT)), "sha256": _sha256_of(top)}


def _sha256_of(top: str) -> str:
    """sha256 over the names and contents of the files of `top` in the bundle."""
    state = hashlib.sha256()
    with zipfile.ZipFile(str(ROOT)) as bundle:
        for name in sorted(bundle.namelist()):
            if name == f"{top}.py" or name.startswith(f"{top}/"):
                state.update(f"{name}\0".encode() + hashlib.sha256(bundle.read(name)).digest())
    return state.hexdigest()
