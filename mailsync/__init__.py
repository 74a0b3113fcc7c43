"""mailsync moves and keeps mail: POP3 and IMAP into an archive, and back to any IMAP server."""

__version__ = "0.1.0"
