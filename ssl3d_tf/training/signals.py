"""A polite stop: the first SIGTERM, SIGUSR1 or Ctrl-C lets the step finish and save, the second stops at once."""

import contextlib
import signal
from collections.abc import Callable, Iterator

from ssl3d_tf.training import workers

STOPPING = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


@contextlib.contextmanager
def stop_requested(meet: workers.Meet = workers.alone) -> Iterator[Callable[[], str | None]]:
    """Yields a function that names the signal received so far, or None. Restores the handlers at the end.

    Args:
        meet: of several workers, each of which then hears what any of them received.
    """
    received = [0]
    before = {number: signal.getsignal(number) for number in STOPPING}

    def remember(number: int, _frame) -> None:
        received.append(number)
        for stopping in STOPPING:
            signal.signal(stopping, signal.SIG_DFL)

    def heard() -> str | None:
        number = int(meet(received[-1:]).max())
        return signal.Signals(number).name if number else None

    for number in STOPPING:
        signal.signal(number, remember)
    try:
        yield heard
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
