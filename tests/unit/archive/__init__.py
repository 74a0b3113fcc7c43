"""The archive from within: in which order it touches the disk, what its questions cost, what any
order of events leaves.
"""
