"""A device as the host sees it; the only part of the host that speaks the wire.

connect ──► Device ──► line ══ transport ══► agent
              │  ▲       questions, answers, a lease, and everything that can end them
        parcel   replies
 what is sent,   what is said there, checked before anybody here believes it
 once
"""

from explorer.device.device import Device, check, connect
from explorer.device.replies import Built

__all__ = ["Built", "Device", "check", "connect"]
