"""The same jobs by other libraries: `python -m benchmarks.peers --help`."""
