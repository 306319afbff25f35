"""What a network is told of its images."""

Shape = tuple[int, int, int]
"""Channels, height, width of one image."""
