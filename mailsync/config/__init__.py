"""YAML in, validated settings out."""
