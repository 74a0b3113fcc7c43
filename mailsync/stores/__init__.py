"""Adapters that each speak one protocol; no store knows another, nor the archive."""
