"""The runs: short loops over plans; no sockets, no SQL, no YAML, no terminal."""
