"""The archive on disk: the mail tree and its catalogue."""
