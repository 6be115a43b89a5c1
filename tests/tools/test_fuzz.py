"""A small part of `python -m tests.tools.fuzz_readers`, always the same."""

import pytest

from tests.tools import fuzz_readers


@pytest.mark.parametrize("kind", fuzz_readers.SEEDS)
def test_what_is_not_damaged_is_converted(kind, tmp_path):
    (tmp_path / "raw").mkdir()
    for name, data in fuzz_readers.SEEDS[kind]().items():
        (tmp_path / "raw" / name).write_bytes(data)
    assert fuzz_readers.outcome(tmp_path) == "converted"


def test_damaged_files_are_converted_or_set_aside():
    cases = fuzz_readers.run(count=144, seed=1)
    assert fuzz_readers.faults(cases) == []
    assert {case.outcome for case in cases} == {"converted", "quarantined", "refused"}
