"""An SSH server that takes a password and runs nothing: an OpenSSH server would need an account with a password."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import paramiko

PASSWORD = "correct horse"


class PasswordServer(paramiko.ServerInterface):
    """Listens on a port of its own until closed; `heard` are the passwords that came."""

    def __init__(self, folder: Path, *, methods: str = "password") -> None:
        self._methods = methods
        self._key = paramiko.ECDSAKey.generate()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._links: list[paramiko.Transport] = []
        self.port = int(self._listener.getsockname()[1])
        self.heard: list[str] = []
        self.known_hosts = folder / "known_hosts_of_passwords"
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {self._key.get_name()} {self._key.get_base64()}\n")
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._listener.close()
        for link in self._links:
            link.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            link = paramiko.Transport(client)
            link.add_server_key(self._key)
            self._links.append(link)
            link.start_server(event=threading.Event(), server=self)

    def get_allowed_auths(self, username: str) -> str:
        return self._methods

    def check_auth_password(self, username: str, password: str) -> int:
        self.heard.append(password)
        return paramiko.AUTH_SUCCESSFUL if password == PASSWORD else paramiko.AUTH_FAILED

    def check_auth_interactive(self, username: str, submethods: str) -> paramiko.InteractiveQuery | int:
        return paramiko.InteractiveQuery("", "", ("Password: ", False))

    def check_auth_interactive_response(self, responses: list[str]) -> int:
        return self.check_auth_password("", responses[0])
