"""Byte formats, pure: bytes in, bytes out, never raising on bad mail."""
