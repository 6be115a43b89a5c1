"""A polite stop: the first SIGTERM, SIGUSR1 or Ctrl-C lets the step finish and save, the second stops at once."""

import contextlib
import signal
from collections.abc import Callable, Iterator

STOPPING = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


@contextlib.contextmanager
def stop_requested() -> Iterator[Callable[[], str | None]]:
    """Yields a function that names the signal received so far, or None. Restores the handlers at the end."""
    received: list[str] = []
    before = {number: signal.getsignal(number) for number in STOPPING}

    def remember(number: int, _frame) -> None:
        received.append(signal.Signals(number).name)
        for stopping in STOPPING:
            signal.signal(stopping, signal.SIG_DFL)

    for number in STOPPING:
        signal.signal(number, remember)
    try:
        yield lambda: received[0] if received else None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
