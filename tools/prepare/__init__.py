"""A volume as it was read -> the examples that are stored: grid, intensity, slices, bricks; no file is written."""
