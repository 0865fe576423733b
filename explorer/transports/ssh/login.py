"""Proving who we are: the keys of the SSH agent, key files, and last a password; what was tried is told on failure.

A password or passphrase comes from the environment or from a person at the terminal, never from a file. What a person
typed is kept in memory, so that a run that comes back to its board at night does not ask again.

EXPLORER_SSH_PASSWORD (or the variable that the option `password_env` names) holds the password of the board's account,
EXPLORER_SSH_PASSPHRASE the passphrase of a key.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shlex
import sys
import threading
from collections.abc import Generator, Iterator
from pathlib import Path

import paramiko

from explorer.errors import NoDevice
from explorer.transports.ssh.config import Hop

PASSWORD_VARIABLE, PASSPHRASE_VARIABLE = "EXPLORER_SSH_PASSWORD", "EXPLORER_SSH_PASSPHRASE"
_KINDS: tuple[type[paramiko.PKey], ...] = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)
_typed: dict[str, str] = {}  # by what was asked
_one_at_a_time = threading.Lock()


def log_in(link: paramiko.Transport, hop: Hop, *, password_variable: str = "") -> None:
    """Authenticate on `link`.

    Args:
        link: the connection, its host key having been accepted.
        hop: as whom, and with which keys.
        password_variable: of the environment; without one a password comes from the terminal alone.

    Raises:
        NoDevice: no key and no password was taken; it says what was tried.
    """
    tried: list[str] = []
    accepted = ["publickey"]
    try:
        link.auth_none(hop.user)
        return
    except paramiko.BadAuthenticationType as error:
        accepted = error.allowed_types
    except (paramiko.SSHException, EOFError, OSError) as error:
        raise _refused(hop, [f"to ask what it takes: {_words(error)}"], accepted, password_variable) from error
    if "publickey" in accepted and _by_key(link, hop, tried):
        return
    by_word = next((way for way in ("password", "keyboard-interactive") if way in accepted), "")
    if by_word and _by_password(link, hop, by_word, password_variable, tried):
        return
    raise _refused(hop, tried, accepted, password_variable)


def _by_key(link: paramiko.Transport, hop: Hop, tried: list[str]) -> bool:
    with contextlib.closing(_keys(hop, tried)) as keys:
        for name, key in keys:
            try:
                if not link.auth_publickey(hop.user, key):
                    return True
                tried.append(f"{name}: taken, but a second proof is wanted")
                return False
            except paramiko.AuthenticationException:
                tried.append(f"{name}: refused")
            except (paramiko.SSHException, EOFError, OSError) as error:
                why = "a server takes only so many tries: name the key with IdentityFile"
                tried.append(f"{name}: {_words(error)}; {why}")
                return False
    return False


def _by_password(link: paramiko.Transport, hop: Hop, way: str, variable: str, tried: list[str]) -> bool:
    password = _secret(variable, f"password of {hop}")
    if not password:
        tried.append(f"a password: none{f' in {variable}' if variable else ''}, and no terminal to ask at")
        return False
    try:
        if way == "password":
            left = link.auth_password(hop.user, password, fallback=False)
        else:  # the server asks, mostly for the password alone; a question that may be read aloud is another one
            left = link.auth_interactive(hop.user, lambda _, __, asked: ["" if echo else password for _, echo in asked])
        if not left:
            return True
        tried.append("a password: taken, but a second proof is wanted")
    except paramiko.AuthenticationException:
        tried.append("a password: refused")
    except (paramiko.SSHException, EOFError, OSError) as error:
        tried.append(f"a password: {_words(error)}")
    _typed.pop(f"password of {hop}", None)
    return False


def _keys(hop: Hop, tried: list[str]) -> Generator[tuple[str, paramiko.PKey], None, None]:
    """The keys to offer, the agent's copies of the chosen ones first; what cannot be used goes into `tried`."""
    with _held_by_agent(hop) as held:
        wanted = {public for file in hop.keys if (public := _public(file)) is not None}
        chosen = [key for key in held if key.asbytes() in wanted]
        others = [] if hop.only_these_keys else [key for key in held if key.asbytes() not in wanted]
        for key in [*chosen, *others]:
            yield f"the SSH agent's {key.get_name()} key {getattr(key, 'comment', '')}".rstrip(), key
        for file in hop.keys:
            if not file.is_file():
                tried.append(f"{file}: not there")
            elif _public(file) not in {key.asbytes() for key in chosen} and (opened := _load(file, tried)) is not None:
                yield str(file), opened


@contextlib.contextmanager
def _held_by_agent(hop: Hop) -> Iterator[list[paramiko.AgentKey]]:
    """The keys of the SSH agent, for as long as it is asked; one that does not answer holds none."""
    if not hop.agent:
        yield []
        return
    try:
        agent = paramiko.Agent()
    except (paramiko.SSHException, OSError, EOFError):
        yield []
        return
    try:
        yield list(agent.get_keys())
    finally:
        agent.close()


def _public(file: Path) -> bytes | None:
    """The public half that lies beside a key file; an encrypted key need not be opened when the agent holds it."""
    try:
        words = Path(f"{file}.pub").read_text(encoding="ascii").split()
        return paramiko.pkey.PublicBlob.from_string(" ".join(words[:2])).key_blob
    except (OSError, ValueError, IndexError):
        return None


def _load(file: Path, tried: list[str]) -> paramiko.PKey | None:
    try:
        key = _open(file, None)
    except paramiko.PasswordRequiredException:
        passphrase = _secret(PASSPHRASE_VARIABLE, f"passphrase of {file}")
        if not passphrase:
            tried.append(f"{file}: encrypted; no passphrase in {PASSPHRASE_VARIABLE}, and no terminal to ask at")
            return None
        key = _open(file, passphrase)
        if key is None:
            _typed.pop(f"passphrase of {file}", None)
            tried.append(f"{file}: encrypted, and the passphrase is not the right one")
            return None
    except OSError as error:
        tried.append(f"{file}: {error.strerror}")
        return None
    if key is None:
        tried.append(f"{file}: not a private key of a kind that is known here (ed25519, ecdsa, rsa)")
        return None
    certificate = Path(f"{file}-cert.pub")
    if certificate.is_file():
        key.load_certificate(str(certificate))
    return key


def _open(file: Path, passphrase: str | None) -> paramiko.PKey | None:
    for kind in _KINDS:
        try:
            return kind.from_private_key_file(str(file), password=passphrase)
        except paramiko.PasswordRequiredException:
            raise
        except (paramiko.SSHException, ValueError):  # not of this kind, or not opened by this passphrase
            continue
    return None


def _secret(variable: str, what: str) -> str:
    if variable and variable in os.environ:
        return os.environ[variable]
    with _one_at_a_time:
        if what not in _typed and sys.stdin is not None and sys.stdin.isatty():
            _typed[what] = getpass.getpass(f"{what}: ")
    return _typed.get(what, "")


def _refused(hop: Hop, tried: list[str], accepted: list[str], variable: str) -> NoDevice:
    said = "".join(f"\n    tried {one}" for one in tried)
    password = f"\n    or set {variable} to the account's password" if variable and "password" in accepted else ""
    return NoDevice(
        f"{hop}: could not log in; it takes {', '.join(accepted)}{said}\n"
        f"    put a public key there:  ssh-copy-id -p {hop.port} {shlex.quote(f'{hop.user}@{hop.host}')}{password}"
    )


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
