"""What befalls a command: it is killed or runs twice, its disk is full, its files are cut, hidden or of another day."""

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.faults import begun
from benchmarks.faults.scenes import Scene

DEADLINE_S = 300
_NOISE = (
    "WARNING:",
    "I0000",
    "W0000",
    "E0000",
    "Killed",
)  # of TensorFlow and the shell, which no command can hold back


class Ended(NamedTuple):
    """One process: its exit code, and the lines of its stderr."""

    code: int
    errors: list[str]


class Round(NamedTuple):
    """One fault: of which scene, in which folder (with data/ and work/), drawn by `rng`; whole_s: the command takes."""

    scene: Scene
    folder: Path
    rng: random.Random
    whole_s: float

    def start(self, *more: str) -> subprocess.Popen:
        """The command with `more` flags, begun; its screen goes to files of the folder."""
        command = [*self.scene.arguments(self.folder / "data", self.folder / "work"), *more]
        drafts = self.folder.parent / "tmp"  # what a killed process leaves in it goes with all rounds
        drafts.mkdir(exist_ok=True)
        with (self.folder / "out").open("w") as out, (self.folder / f"err-{time.monotonic_ns()}").open("w") as err:
            return begun.start(command, stdout=out, stderr=err, env={"TMPDIR": str(drafts)})

    def end(self, process: subprocess.Popen) -> Ended:
        """Waits for its end."""
        try:
            code = process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return Ended(process.wait(), [f"no end after {DEADLINE_S} s"])
        text = max(self.folder.glob("err-*"), key=lambda path: int(path.name[4:])).read_text(errors="replace")
        return Ended(code, [line for line in text.splitlines() if line.strip() and not line.startswith(_NOISE)])

    def run(self, *more: str) -> Ended:
        """The command with `more` flags, from its start to its end."""
        return self.end(self.start(*more))

    def moment(self) -> float:
        """Seconds after the start, at random; also before anything was written, and after the end."""
        return self.rng.uniform(0.15, 1.1) * self.whole_s


class Blow(NamedTuple):
    """A fault. strike: makes it happen and returns what ended under it; remedy: what mends it."""

    strike: Callable[[Round], list[Ended]]
    remedy: Callable[[Round], None] = lambda _: None


def signalled(number: signal.Signals) -> Blow:
    """A signal at a random moment. SIGINT may meet Python before our own code does, which then says where it was."""

    def strike(one: Round) -> list[Ended]:
        process = one.start()
        try:
            process.wait(one.moment())
        except subprocess.TimeoutExpired:
            process.send_signal(number)
        ended = one.end(process)
        if ended.code in (0, 130, -number):  # it did as it was told, or had ended before
            return []
        return [ended]

    return Blow(strike)


def damaged(harm: Callable[[Path, random.Random], None]) -> Blow:
    """A kill at a random moment, then harm to one of the files that are there, of which a copy is kept."""

    def strike(one: Round) -> list[Ended]:
        signalled(signal.SIGKILL).strike(one)
        found = [path for glob in one.scene.targets for path in sorted(one.folder.glob(glob)) if path.is_file()]
        path = one.rng.choice(sorted({path.parent for path in found}))  # a kind of file, then one of it
        path = one.rng.choice([each for each in found if each.parent == path])
        shutil.copy2(path, one.folder / "copy")
        (one.folder / "place").write_text(str(path))
        harm(path, one.rng)
        return [one.run()]

    def remedy(one: Round) -> None:
        place = Path((one.folder / "place").read_text())
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        shutil.copy2(one.folder / "copy", place)

    return Blow(strike, remedy)


def cut(path: Path, rng: random.Random) -> None:
    """Leaves the file its first bytes, any number of them."""
    os.truncate(path, rng.randrange(max(1, path.stat().st_size)))


def hide(path: Path, _: random.Random) -> None:
    """Nobody can open it, not even root: it is a link to itself."""
    path.unlink()
    path.symlink_to(path.name)


def _run_twice(one: Round) -> list[Ended]:
    first = one.start()
    time.sleep(one.rng.uniform(0, 0.6) * one.whole_s)
    second = one.run()
    code = first.wait(DEADLINE_S)
    return [each for each in (Ended(code, []), second) if each.code][1 if code else 0 :] if code != second.code else []


def _in_another_time(one: Round) -> list[Ended]:
    """Killed at a random moment; when it goes on, its files are of tomorrow, or of long ago."""
    signalled(signal.SIGKILL).strike(one)
    then = time.time() + one.rng.choice([86_400, -(10**9)])
    for path in one.folder.rglob("*"):
        os.utime(path, (then, then))
    return [one.run()]


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """folder/work on a disk of its own of a megabyte; needs the right to mount."""
    work = folder / "work"
    work.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", work], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", work], check=True)


def full(size_of_result: int) -> Blow:
    """A disk that holds less than the result. `small_disk` holds it."""

    def strike(one: Round) -> list[Ended]:
        _resize(one, 4096 + int(one.rng.uniform(0.02, 0.95) * size_of_result))
        return [one.run()]

    return Blow(strike, lambda one: _resize(one, 10 * size_of_result + (1 << 24)))


def _resize(one: Round, size: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", one.folder / "work"], check=True)


def can_mount(folder: Path) -> bool:
    """Whether this process may mount a small disk."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with small_disk(folder):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False
    finally:
        shutil.rmtree(folder, ignore_errors=True)


BLOWS = {
    "SIGKILL": signalled(signal.SIGKILL),
    "SIGTERM": signalled(signal.SIGTERM),
    "SIGINT": signalled(signal.SIGINT),
    "a file cut": damaged(cut),
    "a file unreadable": damaged(hide),
    "two at once": Blow(_run_twice),
    "another time": Blow(_in_another_time),
}
