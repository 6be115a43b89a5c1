import math

import pytest

from ssl3d_tf.errors import InputError
from ssl3d_tf.evaluation import tables
from tests.evaluation import finetuning_workdir as made

ROW = ("segmentation", "cpc_3d", "pretrained", 5.0, 10, 0, "test", "dice", "mean", 0.5, "best")


def folder(path, *rows, columns=made.RESULT_COLUMNS):
    path.mkdir(exist_ok=True)
    made.write_csv(path / "results.csv", columns, rows)
    return path


def test_rows_are_read_whatever_the_order_of_the_columns(tmp_path):
    backwards = ",".join(reversed(made.RESULT_COLUMNS.split(",")))
    found = tables.read([folder(tmp_path, ROW[::-1], columns=backwards)])
    assert found.results == (tables.Result(*ROW),)
    assert found.workdirs == {"segmentation": (tmp_path,)}


def test_tables_of_before_there_were_two_grids_are_of_records(tmp_path):
    (row,) = tables.read([folder(tmp_path / "old", ROW)]).results
    assert row.grid == tables.RECORD
    columns = made.RESULT_COLUMNS + ",grid"
    native = tables.read([folder(tmp_path / "new", (*ROW, "native"), columns=columns)])
    assert native.results == (tables.Result(*ROW, grid="native"),)
    tables.write(tmp_path / "new" / tables.RESULTS, native.results, tables.Result)
    assert (tmp_path / "new" / tables.RESULTS).read_text().splitlines()[0] == columns + ",peak"
    together = tables.read([tmp_path / "old", tmp_path / "new"])
    assert {row.grid for row in together.results} == {"record", "native"}
    with pytest.raises(InputError, match="line 2: grid is 'naitve', it must be record or native"):
        tables.read([folder(tmp_path / "typo", (*ROW, "naitve"), columns=columns)])


def test_an_empty_value_is_an_undefined_score(tmp_path):
    found = tables.read([folder(tmp_path, (*ROW[:9], "", "best"), ())])
    assert math.isnan(found.results[0].value)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (made.RESULT_COLUMNS.replace(",score", ""), r"results\.csv lacks column 'score'; its columns must be task,"),
        (made.RESULT_COLUMNS + ",fold", r"results\.csv has a foreign column 'fold'"),
        ("", r"results\.csv lacks column 'checkpoint', 'class'"),
    ],
)
def test_missing_and_foreign_columns_are_named(tmp_path, columns, message):
    with pytest.raises(InputError, match=message) as caught:
        tables.read([folder(tmp_path, columns=columns)])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((*ROW[:9], "high", "best"), r"results\.csv, line 2: 'high' is no number; mend the line"),
        ((*ROW[:5], "1.5", *ROW[6:]), r"line 2: '1\.5' is no whole number"),
        (ROW[:9], "line 2: 9 cells for 11 columns"),
    ],
)
def test_cells_of_the_wrong_kind_are_named(tmp_path, row, message):
    with pytest.raises(InputError, match=message):
        tables.read([folder(tmp_path, row)])


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"has no results\.csv; name the --workdir"):
        tables.read([tmp_path])


def test_equal_rows_of_several_workdirs_count_once(tmp_path):
    other = ("segmentation", "rotation_3d", *ROW[2:])
    found = tables.read([folder(tmp_path / "a", ROW), folder(tmp_path / "b", ROW, other)])
    assert [row.encoder for row in found.results] == ["cpc_3d", "rotation_3d"]
    assert found.workdirs == {"segmentation": (tmp_path / "a", tmp_path / "b")}


def test_two_values_of_one_thing_are_refused(tmp_path):
    folders = [folder(tmp_path / "a", ROW), folder(tmp_path / "b", (*ROW[:9], 0.6, "best"))]
    with pytest.raises(InputError, match=r"cpc_3d.*labelled 10, value 0\.6 and.*value 0\.5; remove one"):
        tables.read(folders)


def test_an_older_file_that_does_not_say_whose_a_case_is_is_read(tmp_path):
    row = ("organ", "", "random", 10, 0, "case1", "dice", "mean", 0.5)
    folder(tmp_path, ROW)
    columns = made.CASE_COLUMNS
    made.write_csv(tmp_path / "cases.csv", columns.replace("patient,", ""), [row])
    (old,) = tables.read([tmp_path]).cases
    made.write_csv(tmp_path / "cases.csv", columns, [(*row[:6], "p1", *row[6:])])
    (new,) = tables.read([tmp_path]).cases
    assert (old.patient, old.value, new.patient, new.value) == ("", 0.5, "p1", 0.5)
    made.write_csv(tmp_path / "cases.csv", columns.replace("patient,", ""), [(*row[:6], "p1", *row[6:])])
    with pytest.raises(InputError, match="line 2: 10 cells for 9 columns"):
        tables.read([tmp_path])
