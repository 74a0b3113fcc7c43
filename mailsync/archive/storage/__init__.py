"""The files of an archive: a Maildir or mbox files, who writes them, and the locks.

Knows no catalogue.
"""
