"""New scans in, as a model's data were made, and labels out, as their files are; no network."""
