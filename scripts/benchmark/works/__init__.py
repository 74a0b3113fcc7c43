"""The works that are measured: each gives comparisons of the programs that can do it."""
