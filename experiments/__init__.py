"""The experiments behind docs/results: a shell script each, of the package's own commands; no code for users."""
