import pytest

from ssl3d_tf.evaluation import comparison, headline, report, tables
from tests.evaluation import finetuning_workdir as made


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return made.write(
        tmp_path_factory.mktemp("headline") / "ft", repetitions=3, encoders=["cpc_3d"], inits=["pretrained", "frozen"]
    )


def test_one_sentence_says_what_was_gained_at_how_many_cases_and_where_nothing_was_shown(workdir):
    (line,) = headline.lines(comparison.compare_all(tables.read([workdir])))
    assert line == (
        "Pretrained by cpc_3d, against scratch, segmentation: dice +0.094 [+0.035, +0.148] at 10 labelled cases, "
        "better; dice +0.084 [+0.045, +0.118] at 20 labelled cases, better; no difference shown at 50, 100, 200 "
        "labelled cases."
    )


def test_report_and_summary_begin_with_it(workdir):
    report.write([workdir], workdir / "report.html")
    page, text = ((workdir / name).read_text(encoding="utf-8") for name in ("report.html", "summary.md"))
    assert page.index("against scratch, segmentation: dice +0.094") < page.index("<h2")
    assert text.splitlines()[2].startswith("Pretrained by cpc_3d, against scratch, segmentation: dice +0.094")


def test_of_one_repetition_nothing_is_claimed(tmp_path):
    folder = made.write(tmp_path, repetitions=1, cases=4, encoders=["cpc_3d"], inits=["pretrained"], extras=False)
    (line,) = headline.lines(comparison.compare_all(tables.read([folder])))
    assert line.count("one repetition only") == 5
    assert "better" not in line


def test_without_scratch_there_is_no_sentence(tmp_path):
    folder = made.write(tmp_path, repetitions=1, cases=4, encoders=[], extras=False)
    assert headline.lines(comparison.compare_all(tables.read([folder]))) == []
