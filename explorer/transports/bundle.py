"""The agent as one file that any Python runs: a zip with fixed timestamps, so that equal code has an equal sha256."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import zipfile
from pathlib import Path

from explorer_agent import wire

_MAIN = b"import sys\nfrom explorer_agent.__main__ import main\nsys.exit(main())\n"
_EPOCH = (1980, 1, 1, 0, 0, 0)


def agent_folder() -> Path:
    """Where the agent's sources lie."""
    return Path(wire.__file__).parent


def bundle_bytes(folder: Path | None = None) -> bytes:
    """The agent's sources as a zip; stored, not deflated, because compressors differ from machine to machine."""
    folder = folder or agent_folder()
    files = {f"explorer_agent/{path.relative_to(folder).as_posix()}": path for path in folder.rglob("*.py")}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo("__main__.py", _EPOCH), _MAIN)
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), files[name].read_bytes())
    return buffer.getvalue()


def make_bundle(cache: Path) -> tuple[Path, str]:
    """Write the agent's file below `cache` unless it is there already; its path and sha256."""
    data = bundle_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    path = cache / "agents" / f"explorer-agent-{sha256[:16]}.pyz"
    if not path.exists() or path.read_bytes() != data:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(data)
        os.replace(file.name, path)
    return path, sha256
