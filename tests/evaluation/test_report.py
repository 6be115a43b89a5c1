import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from ssl3d_tf.evaluation import comparison, drawing, figures, report, runs, tables
from tests.evaluation import finetuning_workdir as made

SECTIONS = ("Learning curves", "Test cases", "Best, median and worst test case", "Confusion", "Method", "Origin")


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return made.write(tmp_path_factory.mktemp("finetuning") / "all")


@pytest.fixture(scope="module")
def whole(workdir):
    report.write([workdir], workdir / "report.html")
    return (workdir / "report.html").read_text(encoding="utf-8")


@pytest.fixture
def small(tmp_path):
    """One encoder, two uses, two repetitions: quick."""
    return made.write(tmp_path / "small", repetitions=2, cases=8, encoders=["cpc_3d"], inits=["pretrained", "knn"])


def render(folder):
    report.write([folder], folder / "report.html")
    return (folder / "report.html").read_text(encoding="utf-8")


def test_the_page_shows_everything(whole, workdir):
    for title in SECTIONS:
        assert f">{title}</h" in whole
    assert whole.count("<svg") == 8
    assert whole.count("<img") == 24
    assert "All 325 runs" in whole
    assert "no difference shown" in whole
    assert "ab" * 32 in whole  # the data's hash
    assert "--gin_file=gin/finetune/segmentation_3d.gin" in whole
    assert (workdir / "summary.md").read_text(encoding="utf-8").startswith("# Finetuning: summary")


def test_the_page_needs_nothing_but_itself(whole):
    assert len(whole) < 2e6
    assert "<script" not in whole
    assert not re.search(r'(?:src|href)="(?!data:|#)', whole.replace("xlink:href", "href"))
    assert not re.search(r"@import|url\((?!#)", whole)


def test_what_page_and_summary_both_say_is_found_once(small, monkeypatch):
    found = []
    for each, name in ((report.headline, "lines"), (report.reaching, "rows")):
        of = getattr(each, name)
        monkeypatch.setattr(each, name, lambda *given, of=of, name=name: found.append(name) or of(*given))
    assert "Steps until scratch" in render(small)
    assert report.reaching.TITLE in (small / report.SUMMARY).read_text(encoding="utf-8")
    assert sorted(found) == ["lines", "rows"]


def test_figures_take_their_ink_from_the_page(whole):
    assert drawing.INK not in whole
    assert drawing.FAINT not in whole
    assert "currentColor" in whole


def test_a_score_that_no_run_has_is_said_to_be_undefined(small):
    path = small / "results.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(re.sub(r",hd95,mean,[^,]*,", ",hd95,mean,,", line) for line in lines) + "\n")
    assert "hd95 is undefined in every run" in render(small)
    assert "hd95 is undefined in every run" in (small / "summary.md").read_text(encoding="utf-8")


def test_captions_say_that_masks_are_resampled_where_the_native_grid_cannot_be_had(small, whole):
    assert whole.count("On the resampled grid") > 2  # of curves and of cases
    for name in ("results.csv", "cases.csv"):
        head, *lines = (small / name).read_text().splitlines()
        rows = [f"{head},grid", *(f"{line},{grid}" for grid in ("record", "native") for line in lines)]
        (small / name).write_text("\n".join(rows) + "\n")
    page = render(small)
    assert "On the resampled grid" not in page
    assert "On the resampled grid" not in (small / "summary.md").read_text(encoding="utf-8")
    assert "<td>native</td>" in page


def test_steps_to_scratch_s_last_score_stand_in_page_and_summary(small):
    assert "Steps until scratch's final validation score" in render(small).replace("&#x27;", "'")
    text = (small / "summary.md").read_text(encoding="utf-8")
    assert "Steps until scratch's final validation score. By number of labels: steps until the first" in text
    rows = [line for line in text.splitlines() if line.startswith("| cpc_3d, pretrained |")]
    assert re.search(r"\| \d+ of \d+: × 0\.\d\d \[0\.\d\d, \d\.\d\d\] \|", rows[-1])


def test_equal_files_make_equal_pages(small):
    assert render(small) == render(small)


def test_the_csv_files_are_enough_and_what_is_missing_is_said(tmp_path):
    folder = made.write(tmp_path / "bare", repetitions=2, cases=8, encoders=["cpc_3d"], inits=["frozen"], extras=False)
    page = render(folder)
    assert page.count("<svg") == 5
    for message in ("No curves", "No overlays", "run.json is missing", "operative_config.gin is missing"):
        assert message in page


def test_without_scores_per_case_there_is_a_report_that_says_so(small):
    (small / "cases.csv").unlink()
    page = render(small)
    assert "No scores of single cases" in page
    assert "intervals say nothing on the choice of test cases" in page


def test_no_results_make_a_page_that_says_so(tmp_path):
    made.write_csv(tmp_path / "results.csv", made.RESULT_COLUMNS, [])
    assert "There are no results" in render(tmp_path)
    assert "No results on the test split yet." in (tmp_path / "summary.md").read_text()


def test_scratch_alone_is_drawn(tmp_path):
    page = render(made.write(tmp_path / "scratch", repetitions=1, cases=4, encoders=[]))
    assert "difference" not in page.partition("Method</h2>")[0]
    assert page.count("<svg") == 6


def test_damaged_pictures_and_lines_are_passed_over(small):
    run = small / "runs" / "cpc_3d-pretrained" / "5" / "0"
    (run / "overlays" / "best.png").write_bytes(b"no picture")
    (run / "overlays" / "worst.png").unlink()
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 420, "val_di')
    (small / "run.json").write_text("{")
    page = render(small)
    assert "best.png cannot be read" in page
    assert "<td>missing</td>" in page


def test_a_missing_run_is_named(small):
    rows = (small / "results.csv").read_text().splitlines(keepends=True)
    kept = [row for row in rows if not row.startswith("segmentation,cpc_3d,pretrained,25.0,50,1,")]
    (small / "results.csv").write_text("".join(kept))
    assert (
        "1 of 30 runs (arms × fractions × repetitions) are missing: cpc_3d, pretrained, 25 %, repetition 1"
        in render(small)
    )


def test_names_are_text_and_not_html(tmp_path):
    folder = made.write(tmp_path / "odd", repetitions=2, cases=4, encoders=['<b>"$x'], inits=["frozen"], extras=False)
    page = render(folder)
    assert "&lt;b&gt;&quot;$x, frozen" in page
    assert '<b>"' not in page


def test_workdirs_come_together_in_one_page(small, tmp_path):
    other = made.write(tmp_path / "b", repetitions=2, cases=8, encoders=["cpc_3d"], inits=["frozen"], task="grading")
    report.write([small, other], tmp_path / "new" / "both.html")
    page = (tmp_path / "new" / "both.html").read_text(encoding="utf-8")
    assert ">segmentation</h2>" in page
    assert ">grading</h2>" in page


def test_encoders_of_a_run_may_have_hyphens(tmp_path):
    path = tmp_path / "runs" / "my-encoder-frozen" / "12.5" / "3"
    path.mkdir(parents=True)
    (tmp_path / "runs" / "notes" / "x" / "y").mkdir(parents=True)
    assert runs.find([tmp_path]) == [runs.Run(tables.Arm("my-encoder", "frozen"), 12.5, 3, path)]


def test_figures_are_the_same_each_time(small):
    (result, *_) = comparison.compare_all(tables.read([small]))
    first, again = (drawing.svg(figures.boxes(result), "boxes") for _ in range(2))
    assert first == again


def test_the_command_needs_neither_tensorflow_nor_a_flag(small):
    check = "import sys; from ssl3d_tf.evaluation import report; assert not {'tensorflow', 'gin'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)
    run = subprocess.run(
        [sys.executable, "-m", "ssl3d_tf.report", str(small)], check=True, capture_output=True, text=True
    )
    assert "report.html" in run.stdout
    assert (small / "report.html").is_file()


def test_a_wrong_folder_is_one_line(tmp_path):
    run = subprocess.run([sys.executable, "-m", "ssl3d_tf.report", str(tmp_path)], capture_output=True, text=True)
    assert run.returncode == 1
    assert run.stderr.strip() == f"{tmp_path} has no results.csv; name the --workdir of a finetuning run."


def test_figures_are_written_as_files_that_are_equal_each_time(small, tmp_path):
    report.draw([small], tmp_path / "a")
    report.draw([small], tmp_path / "b")
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names[:3] == [f"segmentation-dice-{what}.png" for what in ("cases", "curve", "difference")]
    assert "segmentation-hd95-cases.png" not in names  # cases.csv has none of them
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in names)


def test_how_many_cases_were_labelled_stands_in_page_and_summary_and_once(small, tmp_path):
    other = shutil.copytree(small, tmp_path / "other")
    for folder in (small, other):
        record = json.loads((folder / "run.json").read_text())
        said = {"test": "5 of 5 test scans have a mask", "train": "31 of 40 training scans have a mask"}
        (folder / "run.json").write_text(json.dumps(record | {"labelled": said}))
    report.write([small, other], tmp_path / "report.html")
    line = "31 of 40 training scans have a mask; 5 of 5 test scans have a mask."
    assert (tmp_path / "report.html").read_text(encoding="utf-8").count(line) == 1
    assert (tmp_path / "summary.md").read_text(encoding="utf-8").count(line) == 1


def test_input_that_was_accepted_in_spite_of_its_differences_stands_in_page_and_summary(small, tmp_path):
    record = json.loads((small / "run.json").read_text())
    mismatch = {"spacing": "2 × 2 × 2 mm there, 1 × 1 × 1 mm here", "intensity": "zscore there, minmax here"}
    encoders = {"cpc_3d": {"path": "cpc_3d", "mismatch": mismatch}, "rpl_3d": {"path": "rpl_3d", "mismatch": {}}}
    (small / "run.json").write_text(json.dumps(record | {"encoders": encoders}))
    report.write([small], tmp_path / "report.html")
    said = "was pretrained on other input, accepted by ALLOW_MISMATCH"
    line = f"{said}: intensity zscore there, minmax here; spacing 2 × 2 × 2 mm there, 1 × 1 × 1 mm here."
    for name in ("report.html", "summary.md"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert (text.count(said), text.count(line)) == (1, 1)


def limits(figure, axis):
    return [limit for ax in figure.axes for limit in getattr(ax, f"get_{axis}lim")()]


def test_a_validation_of_one_step_is_a_point_as_a_line_of_it_would_not_be_seen():
    for steps, marker in (((1,), "x"), ((1, 2), "None")):
        curve = runs.Curve("val_dice", steps, (0.5,) * len(steps))
        figure = figures.learning_curves({(tables.SCRATCH, 5.0): [curve]}, [tables.SCRATCH])
        assert figure.axes[0].lines[0].get_marker() == marker


def test_axes_end_where_scores_end(small):
    rng = np.random.default_rng(0)
    for name, column in (("results.csv", 9), ("cases.csv", 8)):  # nearly all of it perfect
        head, *rows = [line.split(",") for line in (small / name).read_text().splitlines()]
        rows = [[*row[:column], str(0.9 + 0.1 * rng.integers(0, 2)), *row[column + 1 :]] for row in rows]
        (small / name).write_text("\n".join(map(",".join, [head, *rows])) + "\n")
    found = tables.read([small])
    result = comparison.compare(found, "segmentation", "dice")
    assert max(limits(figures.label_efficiency(result), "y")) == 1.0
    assert max(limits(figures.boxes(result), "x")) == 1.0
    assert max(limits(figures.differences(result), "y")) <= 1.0
    curve = runs.Curve("val_accuracy", (1, 2), (0.0, 1.0))
    arms = [tables.SCRATCH]
    drawn = figures.learning_curves({(tables.SCRATCH, 5.0): [curve]}, arms)
    assert limits(drawn, "y") == [0.0, 1.0]
    of_loss = figures.learning_curves({(tables.SCRATCH, 5.0): [curve._replace(name="val_loss")]}, arms)
    assert max(limits(of_loss, "y")) > 1.0  # of which nothing is known


def test_a_classification_has_no_boxes_and_no_pictures(tmp_path):
    folder = made.write(tmp_path, repetitions=2, cases=8, encoders=["cpc_3d"], inits=["frozen"], task="grading")
    for name in ("results.csv", "cases.csv"):
        lines = [line for line in (folder / name).read_text().splitlines() if ",hd95," not in line]
        (folder / name).write_text("\n".join(lines).replace(",dice,", ",cat_accuracy,") + "\n")
    page = render(folder)
    for heading in ("Test cases", "Best, median and worst test case"):
        assert f">{heading}</h3>" not in page
    assert ">Confusion</h3>" in page
    assert "the most frequent class alone" in page
    assert "Dotted: what naming the most frequent class" in page
    report.draw([folder], tmp_path / "figures")
    assert not list((tmp_path / "figures").glob("*-cases.png"))


def test_a_page_that_grows_is_written_at_first_at_last_and_where_it_costs_little(monkeypatch):
    clock, written = [0.0], []

    def write(*_):
        written.append(clock[0])
        clock[0] += 2  # seconds a page

    monkeypatch.setattr(report, "write", write)
    monkeypatch.setattr(report.time, "monotonic", lambda: clock[0])
    page = report.growing([], "report.html")
    for seconds, is_last in ((30, False), (39, False), (1, False), (10, False), (0, True)):
        clock[0] += seconds
        page(is_last)
    assert written == [30, 72, 84]
