"""Real TensorRT from the package index, as far as its import: no GPU, and none of the 2 GB of libraries beside it.

pip install --no-deps tensorrt      the wheel, 550 to 820 MB
nm, cc                              libcublas, libcublasLt and libcudnn with the functions that it wants and nothing
                                    in them: the loader is content, and nothing that needs a GPU is ever called
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

PATIENCE_S = 240
STOOD_IN_FOR = ("libcublas.so", "libcublasLt.so", "libcudnn.so")


class NotToBeHad(Exception):
    """Why there is no such TensorRT on this machine."""


@dataclass(frozen=True)
class Wheel:
    """A TensorRT that can be imported."""

    python: str
    folder: Path

    def run(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Start its Python with `arguments`; modules of its folder can be imported, and little else."""
        environment = {**os.environ, "LD_LIBRARY_PATH": str(self.folder / "stubs"), "PYTHONPATH": str(self.folder)}
        return subprocess.run(
            [self.python, *arguments],
            input=given,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


def installed(python: str, version: str, below: Path) -> Wheel:
    """The wheel `version` for the interpreter `python`, kept in a folder below `below`.

    Raises:
        NotToBeHad: it cannot be installed, with the reason.
    """
    if not python:
        raise NotToBeHad("no Python for which there is such a wheel")
    for tool in ("nm", "cc"):
        if shutil.which(tool) is None:
            raise NotToBeHad(f"no {tool} on this machine, to stand in for cuBLAS and cuDNN")
    wheel = Wheel(python, below / f"tensorrt-{version}")
    if not (wheel.folder / "stubs").is_dir():
        _install(wheel, version)
        _stand_in(wheel.folder)
    return wheel


def _install(wheel: Wheel, version: str) -> None:
    if shutil.disk_usage(wheel.folder.parent).free < 5 << 30:
        raise NotToBeHad("less than 5 GB of free disk")
    shutil.rmtree(wheel.folder, ignore_errors=True)
    options = ["--quiet", "--no-deps", "--no-cache-dir", "--only-binary", ":all:", "--disable-pip-version-check"]
    command = [wheel.python, "-m", "pip", "install", *options, "--target", str(wheel.folder), f"tensorrt=={version}"]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE_S)
    except subprocess.TimeoutExpired as error:
        shutil.rmtree(wheel.folder, ignore_errors=True)
        raise NotToBeHad(f"tensorrt {version} took longer than {PATIENCE_S} s to install") from error
    except subprocess.CalledProcessError as error:
        last = error.stderr.strip().splitlines()[-1:] or ["without a word"]
        raise NotToBeHad(f"tensorrt {version} cannot be installed: {last[0]}") from error


def _stand_in(folder: Path) -> None:
    """Libraries that have what TensorRT's want by name and version of the symbol."""
    libraries = [str(path) for path in sorted((folder / "tensorrt").glob("*.so*"))]
    listed = subprocess.run(["nm", "-D", "--undefined-only", *libraries], check=True, capture_output=True, text=True)
    symbols = {line.split()[-1] for line in listed.stdout.splitlines() if "@" in line}
    wanted: dict[str, list[str]] = {}
    for symbol in sorted(symbols):
        name, _, library = symbol.replace("@@", "@").partition("@")
        if library.startswith(STOOD_IN_FOR):
            wanted.setdefault(library, []).append(name)
    made = folder / "stubs.part"
    made.mkdir(exist_ok=True)
    for library, names in wanted.items():
        (made / "code.c").write_text("".join(f"void {name}(void) {{}}\n" for name in names))
        (made / "versions").write_text(f"{library} {{ global: *; }};\n")
        options = ["-w", "-shared", "-fPIC", f"-Wl,-soname,{library}", f"-Wl,--version-script={made / 'versions'}"]
        subprocess.run(["cc", *options, "-o", str(made / library), str(made / "code.c")], check=True)
    made.rename(folder / "stubs")
