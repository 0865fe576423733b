"""A face inside the agent's own file, as the module `tensorrt` that it imports."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

# The environment says which board it is on.
MODULE = """
import os, sys
import faces
from faces.compiled import CompiledCudart
world = faces.World(cuda=CompiledCudart(), dla_cores=int(os.environ.get("FACE_DLA_CORES", "2")))
sys.modules[__name__] = faces.face(os.environ["FACE"], world)
"""


def packed(bundle: Path, made: Path) -> Path:
    """Write the agent's file `bundle`, and in it a face, to `made`; returns that."""
    shutil.copy(bundle, made)
    with zipfile.ZipFile(made, "a") as archive:
        archive.writestr("tensorrt/__init__.py", MODULE)
        for file in sorted(Path(__file__).parent.glob("*.py")):
            archive.write(file, f"faces/{file.name}")
    return made
