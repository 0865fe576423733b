"""A board behind SSH: from ``ssh://user@board`` to two byte streams.

    address ──► config ──────► link ──────► known_hosts, login ──► pipe ──► transport
    as written  ~/.ssh/config  sockets      who it is, who we are  bytes    the agent's channel

How the login shell there becomes the agent is told in `explorer.transports.bootstrap`.
"""

from explorer.transports.ssh.transport import SshTransport

__all__ = ["SshTransport"]
