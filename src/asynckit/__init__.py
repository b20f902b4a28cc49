"""Structured-concurrency helpers on anyio: the same on asyncio, uvloop and trio.

All public names are here; the modules are private.
"""

from asynckit._deadline import Deadline, timeout
from asynckit._errors import ChildCancelledError
from asynckit._gather import gather
from asynckit._handle import Handle
from asynckit._map import amap
from asynckit._offload import Offloaded, to_process, to_thread
from asynckit._scope import Scope, open_scope
from asynckit._version import __version__

__all__ = [
    "ChildCancelledError",
    "Deadline",
    "Handle",
    "Offloaded",
    "Scope",
    "__version__",
    "amap",
    "gather",
    "open_scope",
    "timeout",
    "to_process",
    "to_thread",
]
