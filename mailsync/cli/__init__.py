"""The command line: one module a command; the only place that turns exceptions into exit codes."""
