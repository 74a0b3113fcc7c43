"""What the scripts beside it share."""
