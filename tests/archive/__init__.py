"""The archive as its callers and other programs see it: real files in real directories."""
