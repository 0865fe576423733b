"""Make the environment: a venv, PyTorch of the wanted build, the project itself. Called by the Makefile.

    python3.11 tools/set_up.py .venv --extras dev

PyTorch comes first and on its own, because what pip takes for x86 Linux by default brings gigabytes of CUDA with it.
With TORCH=cpu (the Makefile's default) these are tried in order, and the first that is there is taken:

1. a torch that the environment has already;
2. a wheel marked ``+cpu`` among the sources this machine's pip is set up with (an own mirror, a folder of wheels);
3. on platforms for which the ordinary wheel has no CUDA in it (macOS, Windows, Linux on Arm): the ordinary wheel;
4. uv, fetched for this one step into a temporary folder: it knows where PyTorch's CPU wheels are.

If none works the set-up stops and says what to do; it never takes the big build in silence. TORCH=default takes it
knowingly.

Standard library only, and in the syntax of old Pythons, so that a Python that is too old gets a sentence and not a
SyntaxError.
"""

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile

OLDEST = (3, 11)
TORCH = "torch>=2.6"  # the same as in pyproject.toml
NO_CPU_TORCH = """
No CPU-only build of PyTorch could be found: none in the sources pip is set up with, and uv could not reach PyTorch's.
  - with a wheel at hand:          {pip} install /path/to/torch-...+cpu-....whl, then the same make command again
  - the default build will do:     make ... TORCH=default      (on x86 Linux some gigabytes, CUDA included)
"""


def main():
    """Set up; every step says in one line what it does."""
    parser = argparse.ArgumentParser(description="Make the project's environment.")
    parser.add_argument("venv")
    parser.add_argument("--extras", default="host", help="host for none, else of pyproject.toml: dev, peers, notebook")
    asked = parser.parse_args()
    check_python()
    python = make_venv(asked.venv)
    if not has_torch(python):
        install_torch(python, os.environ.get("TORCH") or "cpu")
    project = "." if asked.extras == "host" else f".[{asked.extras}]"
    say(f"installing explorer{project[1:]} and what it needs")
    pip(python, "install", "--quiet", "--editable", project)


def check_python():
    if sys.version_info < OLDEST:
        found = f"{sys.version_info[0]}.{sys.version_info[1]} ({sys.executable})"
        stop(f"explorer needs Python 3.11 or newer, this is {found}; say which: make PYTHON=/path/to/python3.11")
    try:
        import ensurepip  # noqa: F401  (Debian and Ubuntu pack it apart)
        import venv  # noqa: F401
    except ImportError:
        stop("this Python has no venv module; on Debian or Ubuntu: apt install python3-venv")


def make_venv(folder):
    """Return the Python of the environment in `folder`, which is made if it is not there."""
    python = os.path.abspath(os.path.join(folder, "bin", "python"))
    if not os.path.exists(python):
        say(f"making an environment in {folder}")
        run(sys.executable, "-m", "venv", folder)
    return python


def has_torch(python):
    return subprocess.call([python, "-c", "import torch"], stderr=subprocess.DEVNULL) == 0


def install_torch(python, build):
    """Install PyTorch; `build` is cpu or default."""
    if build not in ("cpu", "default"):
        stop(f"TORCH={build} is not known; allowed: cpu, default")
    if build == "default" or ordinary_is_cpu_only():
        say("installing PyTorch")
        return pip(python, "install", "--quiet", TORCH)
    version = cpu_version_pip_knows(python)
    if version:
        say(f"installing PyTorch {version}")
        return pip(python, "install", "--quiet", "torch==" + version)
    say("installing PyTorch for the CPU, with uv")
    if not install_torch_with_uv(python):
        stop(NO_CPU_TORCH.format(pip=os.path.join(os.path.dirname(python), "pip")))
    return None


def ordinary_is_cpu_only():
    """Whether PyTorch's ordinary wheel for this platform comes without CUDA."""
    return not (sys.platform.startswith("linux") and platform.machine() in ("x86_64", "AMD64"))


def cpu_version_pip_knows(python):
    """Return the newest version marked +cpu in pip's sources that fits this Python, or None."""
    asked = subprocess.run([python, "-m", "pip", "index", "versions", "torch"], capture_output=True, text=True)
    found = re.search(r"\b\d+\.\d+\.\d+\+cpu\b", asked.stdout)  # pip lists the newest first
    return found.group() if found else None


def install_torch_with_uv(python):
    with tempfile.TemporaryDirectory() as folder:
        pip(python, "install", "--quiet", "--target", folder, "uv")
        uv = os.path.join(folder, "bin", "uv")
        return subprocess.call([uv, "pip", "install", "--python", python, "--torch-backend=cpu", TORCH]) == 0


def pip(python, *arguments):
    run(python, "-m", "pip", "--disable-pip-version-check", *arguments)


def run(*command):
    code = subprocess.call(command)
    if code:
        stop("this failed with exit code {}: {}".format(code, " ".join(command)))


def say(text):
    print("set-up: " + text, flush=True)


def stop(text):
    sys.exit("set-up: " + text.strip())


if __name__ == "__main__":
    main()
