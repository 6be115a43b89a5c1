"""The one exception for faults the user can mend: caught at the command line and printed as one line."""


class InputError(ValueError):
    """A file, value or configuration that cannot be used: says what, where, the value, the rule and the remedy."""
