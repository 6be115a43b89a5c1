"""From a folder of records to batches: reading, order, crops, and phantoms; file formats of scans are in tools/."""
