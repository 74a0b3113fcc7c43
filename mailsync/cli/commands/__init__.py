"""One module a command, imported when it is called; each holds it under the name `command`."""
