"""What the network sees: volumes, patches and their augmentation, as batched tensor operations; no files, no labels."""
