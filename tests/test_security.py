"""What our code never does, wherever it does it: read from the sources themselves, so that it stays so."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("explorer", "agents", "benchmarks", "examples", "tools", ".ci")
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
# What is sent to others or comes from them; here nothing is checked by `assert`, which -O leaves out.
AT_THE_BORDER = (
    "agents/explorer_agent",
    "explorer/transports",
    "explorer/device",
)

# Modules that run what they read.
NEVER_IMPORTED = {
    "pickle",
    "cPickle",
    "marshal",
    "shelve",
    "dill",
    "cloudpickle",
    "joblib",
    "jsonpickle",
    "imp",
    "telnetlib",
}
NEVER_CALLED = {
    **dict.fromkeys(("eval", "exec", "__import__"), "runs what it is given"),
    **dict.fromkeys(("os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"), "goes through a shell"),
    **dict.fromkeys(("tempfile.mktemp", "os.tempnam"), "gives a name that others may take first"),
    **dict.fromkeys(
        ("yaml.load", "yaml.unsafe_load", "yaml.full_load", "yaml.load_all"), "builds objects: yaml.safe_load"
    ),
    **dict.fromkeys(("shutil.unpack_archive",), "writes wherever the archive says"),
    **dict.fromkeys(("paramiko.AutoAddPolicy", "paramiko.WarningPolicy"), "trusts whoever answers"),
    **dict.fromkeys(("ssl._create_unverified_context",), "trusts whoever answers"),
}
NEVER_METHODS = {
    "extractall": "writes wherever the archive says",
    "set_missing_host_key_policy": "trusts whoever answers",
}
# A call and what has to be said with it.
ALWAYS = {
    "torch.load": ("weights_only", True),
    "np.load": ("allow_pickle", False),
    "numpy.load": ("allow_pickle", False),
    "np.save": ("allow_pickle", False),
    "np.lib.format.write_array": ("allow_pickle", False),
    "np.lib.format.read_array": ("allow_pickle", False),
}
SUBPROCESS = {f"subprocess.{name}" for name in ("run", "Popen", "call", "check_call", "check_output")}

Finding = tuple[int, str]


def name_of(node: ast.AST) -> str:
    """A dotted name as it is written; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (before := name_of(node.value)):
        return f"{before}.{node.attr}"
    return ""


def calls(tree: ast.AST) -> Iterator[tuple[ast.Call, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node, name_of(node.func)


def said(call: ast.Call, name: str) -> object:
    """The constant that is given for the argument `name`; None when it is left out."""
    given = {keyword.arg: keyword.value for keyword in call.keywords}.get(name)
    return given.value if isinstance(given, ast.Constant) else given


def is_made_up(node: ast.AST | None) -> bool:
    """Whether a text is put together here out of others."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr in ("format", "join") and name_of(node.func) != "shlex.join"
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Mod)))


def forbidden(tree: ast.AST, _: Path) -> Iterator[Finding]:
    for call, name in calls(tree):
        why = NEVER_CALLED.get(name) or NEVER_METHODS.get(name.rpartition(".")[2] if "." in name else "")
        if why:
            yield call.lineno, f"{name} {why}"
        if name == "os.system" and not isinstance(call.args[0], ast.Constant):
            yield call.lineno, "os.system of more than one fixed text"


def unsafe_imports(tree: ast.AST, _: Path) -> Iterator[Finding]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            for name in names:
                if name.partition(".")[0] in NEVER_IMPORTED:
                    yield node.lineno, f"{name} runs what it reads"


def unsaid(tree: ast.AST, _: Path) -> Iterator[Finding]:
    for call, name in calls(tree):
        if name in ALWAYS and said(call, ALWAYS[name][0]) is not ALWAYS[name][1]:
            yield call.lineno, f"{name} without {ALWAYS[name][0]}={ALWAYS[name][1]}"


def shells(tree: ast.AST, _: Path) -> Iterator[Finding]:
    """A program gets its words as a list. Where a shell must be given a text, each word in it was quoted by itself."""
    for call, name in calls(tree):
        first = call.args[0] if call.args else None
        if name in SUBPROCESS:
            if said(call, "shell") not in (None, False):
                yield call.lineno, f"{name} with a shell"
            if isinstance(first, ast.Constant) or is_made_up(first):
                yield call.lineno, f"{name} of a text instead of a list of words"
        if name.endswith(".exec_command") and is_made_up(first):
            yield call.lineno, "a command put together on the spot"
    for node in ast.walk(tree):
        words = node.elts if isinstance(node, ast.List) else []
        for option, text in pairwise(words):
            if isinstance(option, ast.Constant) and option.value == "-c" and is_made_up(text):
                if "hop.command" in ast.unparse(text):  # ProxyCommand: the user's own line for a shell, as ssh has it
                    continue
                yield node.lineno, "a text for a shell put together on the spot"


def unquoted(tree: ast.AST, path: Path) -> Iterator[Finding]:
    """What makes the words of a far shell quotes every one of them."""
    if path.name != "bootstrap.py":
        return
    makers = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "command"]
    assert makers, "the function that makes the command is called otherwise now"
    for text in (node for maker in makers for node in ast.walk(maker) if isinstance(node, ast.FormattedValue)):
        if not (isinstance(text.value, ast.Call) and name_of(text.value.func) == "shlex.quote"):
            yield text.value.lineno, "a word for the far shell that is not quoted"


def modes(tree: ast.AST, _: Path) -> Iterator[Finding]:
    """No file and no folder of ours is for everybody to write to."""
    for call, name in calls(tree):
        if name.rpartition(".")[2] in ("chmod", "mkdir", "makedirs", "open", "umask", "mkfifo"):
            numbers = [
                node.value for node in ast.walk(call) if isinstance(node, ast.Constant) and type(node.value) is int
            ]
            if name.endswith("umask") or any(number & 0o002 and number > 0o100 for number in numbers):
                yield call.lineno, f"{name} opens a file to everybody"


def fixed_temporary_names(tree: ast.AST, _: Path) -> Iterator[Finding]:
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and node.value.startswith(("/tmp/", "/var/tmp/"))
        ):
            yield node.lineno, f"{node.value}: a name that others may take first"


def asserts_at_the_border(tree: ast.AST, path: Path) -> Iterator[Finding]:
    """Only "is not None", which is there for the type checker, and the contracts that tests inherit."""
    where = path.relative_to(ROOT).as_posix()
    if not where.startswith(AT_THE_BORDER) or where == "agents/explorer_agent/testing.py":
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert) and not (
            isinstance(node.test, ast.Compare) and isinstance(node.test.ops[0], ast.IsNot)
        ):
            yield node.lineno, "an assert where what a peer or a user gave may be at fault"


RULES: tuple[Callable[[ast.AST, Path], Iterator[Finding]], ...] = (
    *(forbidden, unsafe_imports, unsaid, shells, unquoted, modes, fixed_temporary_names, asserts_at_the_border),
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_nowhere_in_our_code(rule: Callable[[ast.AST, Path], Iterator[Finding]]) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {what}"
        for path in SOURCES
        for line, what in rule(ast.parse(path.read_text(encoding="utf-8")), path)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        (forbidden, "eval(text)"),
        (forbidden, "yaml.load(text, Loader=yaml.Loader)"),
        (forbidden, "archive.extractall(folder)"),
        (forbidden, "os.system(f'ls {folder}')"),
        (forbidden, "client.set_missing_host_key_policy(paramiko.AutoAddPolicy())"),
        (unsafe_imports, "import pickle"),
        (unsafe_imports, "from joblib import load"),
        (unsaid, "torch.load(path)"),
        (unsaid, "torch.load(path, weights_only=False)"),
        (unsaid, "np.load(path, allow_pickle=choice)"),
        (shells, "subprocess.run(words, shell=True)"),
        (shells, "subprocess.run(words, shell=choice)"),
        (shells, "subprocess.run(f'ls {folder}')"),
        (shells, "channel.exec_command('ls ' + folder)"),
        (shells, "channel.exec_command('ls {}'.format(folder))"),
        (shells, "subprocess.run(['sh', '-c', f'ls {folder}'])"),
        (unquoted, "def command(agent): return f'{agent.python} -c {shlex.quote(STAGE)}'"),
        (modes, "path.chmod(0o777)"),
        (modes, "os.open(path, flags, 0o666)"),
        (modes, "os.umask(0)"),
        (fixed_temporary_names, "path = '/tmp/explorer'"),
        (asserts_at_the_border, "assert header['count'] == len(body)"),
    ],
)
def test_the_rules_see_what_they_are_for(rule: Callable[[ast.AST, Path], Iterator[Finding]], code: str) -> None:
    assert list(rule(ast.parse(code), ROOT / "explorer" / "transports" / "bootstrap.py"))


@pytest.mark.parametrize(
    ("library", "floor"), [("paramiko", (3, 4)), ("torch", (2, 6)), ("onnx", (1, 18)), ("pillow", (10, 3))]
)
def test_no_library_may_be_older_than_its_mended_version(library: str, floor: tuple[int, ...]) -> None:
    """Terrapin (CVE-2023-48795); torch.load with weights_only (CVE-2025-32434); paths in a network's external data
    (CVE-2024-27318); a buffer in Pillow (CVE-2024-28219).
    """
    given = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    found = dict(line.split(">=") for line in given)
    assert tuple(map(int, found[library].split("."))) >= floor


def test_there_is_something_to_look_at() -> None:
    assert len(SOURCES) > 100
    assert {path.name for path in SOURCES} >= {"device.py", "wire.py", "set_up.py", "casia_b.py"}
