"""POP3 (RFC 1939), with CAPA and PIPELINING (RFC 2449), STLS (RFC 2595), SASL PLAIN (RFC 5034),
UTF8 (RFC 6856).

Nothing is deleted but by `delete`, which only the owner's own policy calls.
`poplib` is not used: it ends at lines of 2048 octets and cannot have two commands in flight.
"""

from mailsync.stores.pop3.source import Pop3Source

__all__ = ["Pop3Source"]
