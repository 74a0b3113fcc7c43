"""A mail server in memory and the store that speaks to it: to try the engine without a network, and
the plainest example of a store.
"""

from mailsync.stores.memory.server import Break, MemoryBox, MemoryMessage, MemoryServer
from mailsync.stores.memory.store import MemoryMaildrop, MemoryStore

__all__ = ["Break", "MemoryBox", "MemoryMaildrop", "MemoryMessage", "MemoryServer", "MemoryStore"]
