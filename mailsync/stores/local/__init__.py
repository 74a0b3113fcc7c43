"""Mail in files on this computer, as a source: a thin adapter for each kind of file.

Nothing here ever writes to what is read.
"""
