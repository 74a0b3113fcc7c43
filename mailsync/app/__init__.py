"""The application: work on archives and servers, for the command line and any other program."""
