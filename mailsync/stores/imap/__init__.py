"""IMAP4rev1 and rev2 over our own pipelined command queue."""

from mailsync.stores.imap.source import ImapSource

__all__ = ["ImapSource"]
