"""Rows of traces: ink, networks, following, the curve of each."""
