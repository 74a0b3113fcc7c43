"""The parts of the archive's storage, one module of tests for each of its modules."""
