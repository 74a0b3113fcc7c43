"""Measures mailsync against other programs and against the wire; `scripts/bench --help`."""
