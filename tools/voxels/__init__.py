"""Arithmetic on voxels in memory: pieces, ranges, what stands out; nothing of files, and nothing of millimetres."""
