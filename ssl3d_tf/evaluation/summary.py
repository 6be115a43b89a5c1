"""summary.md: what a comparison of arms shows, and what it does not, in tables and in words."""

from collections.abc import Iterator, Sequence

from ssl3d_tf.data.records.manifest import SPLITS
from ssl3d_tf.evaluation import comparison, runs, scores
from ssl3d_tf.evaluation.comparison import Comparison, Estimate
from ssl3d_tf.evaluation.tables import RECORD, SCRATCH, Arm, Tables

METHOD = (
    "Columns are percent of the training labels, in brackets labelled cases. "
    "Means and standard deviations (n − 1) are over repetitions: test split, checkpoint that was best in validation. "
    "Intervals are 95 % bootstrap intervals. Differences to scratch are paired by repetition, and by case where "
    "cases.csv has them. Repetitions and cases, being crossed, are resampled separately (Owen, 2007, arXiv:0712.1111), "
    "2,000 times with a fixed seed; what each moves the mean by is widened to what Student's t gives for as many "
    "(Hesterberg, 2015, arXiv:1411.5279) and added up. AULC is the area under the learning curve by the trapezoid rule "
    "over the logarithm of the fraction of labels, divided by its range, so that it reads as an average score. "
    "An interval that contains 0 shows no difference; it does not show that there is none."
)


RESAMPLED = (
    "On the resampled grid: masks were compared as the records hold them, since not every test case has its own on the "
    "grid that it was read on (data or tables of before that was kept, or --keep_native_masks=never)."
)


def text(tables: Tables, results: Sequence[Comparison]) -> str:
    """The whole summary as Markdown; `results` are all comparisons of the tables."""
    parts = ["# Finetuning: summary"]
    parts += [_section(result) for result in results] or ["No results on the test split yet."]
    parts += [_runs(tables, task) for task in dict.fromkeys(result.task for result in results)]
    return "\n\n".join([*parts, "## Method", METHOD]) + "\n"


def score_rows(result: Comparison) -> list[list[str]]:
    """Header and one row per arm: mean ± standard deviation by fraction, then the area."""
    rows = [["", *_heads(result)]]
    for one in result.arms:
        cells = [mean_sd(result.estimates.get((one, key)), digits(result)) for key in columns(result)]
        rows.append([comparison.name(one), *cells])
    return rows


def difference_rows(result: Comparison) -> list[list[str]]:
    """Header and one row per arm but scratch: the difference with its interval, by fraction, then of the area."""
    rows = [["", *_heads(result)]]
    for one in compared(result):
        cells = [" ".join(filter(None, difference(result, one, key))) for key in columns(result)]
        rows.append([comparison.name(one), *cells])
    return rows


def mean_sd(estimate: Estimate | None, digits: int) -> str:
    """'0.714 ± 0.012', without the second where there is but one repetition; '–' for no run."""
    if estimate is None:
        return "–"
    sd = f" ± {estimate.sd:.{digits}f}" if estimate.repetitions > 1 else ""
    return f"{estimate.mean:.{digits}f}{sd}"


def difference(result: Comparison, one: Arm, key: float | None) -> tuple[str, str, str]:
    """('+0.031', '[+0.012, +0.050]', 'better'), the last as `comparison.verdict`; ('–', '', '') for no pair."""
    found = result.differences.get((one, key))
    if found is None:
        return "–", "", ""
    mean, low, high = (_signed(value, digits(result)) for value in (found.mean, *found.interval))
    verdict = comparison.verdict(found, result.score)
    return mean, "" if verdict == "one number only" else f"[{low}, {high}]", verdict


def digits(result: Comparison) -> int:
    """Decimals of a score: three of shares and kappas, two of millimetres."""
    return 3 if all(abs(estimate.mean) < 2 for estimate in result.estimates.values()) else 2


def in_words(result: Comparison) -> list[str]:
    """One sentence per arm: at which fractions it was better, at which no difference was shown."""
    if SCRATCH not in result.arms:
        return ["There are no runs from scratch, so there is nothing to compare with."]
    return [f"{comparison.name(one)}: {'; '.join(_findings(result, one))}." for one in compared(result)]


def basis(result: Comparison) -> str:
    """How many repetitions and cases all of it rests on."""
    found = list(result.estimates.values())
    if not found:
        return f"{result.score} is undefined in every run."
    repetitions = _range([estimate.repetitions for estimate in found], "repetition")
    with_cases = sorted({estimate.cases for estimate in found})
    count = len(result.differences)
    if with_cases[-1:] in ([], [0]):
        rest = f"{repetitions}; there are no scores per case, so intervals say nothing on the choice of test cases"
    else:
        rest = f"{repetitions} with {_range(with_cases, 'test case')} each"
    if not count:
        return f"Rests on {rest}."
    return (
        f"Rests on {rest}. The {count} intervals of differences are not corrected for their number: "
        f"of as many without any difference, about {0.05 * count:.1f} would be said to differ."
    )


def runs_line(tables: Tables, task: str) -> str:
    """How many runs there are of how many, and which are missing."""
    absent, expected = comparison.missing_runs(tables, task)
    if not absent:
        return f"All {expected} runs (arms × fractions × repetitions) are there."
    shown = "; ".join(absent[:8]) + (f"; and {len(absent) - 8} more" if len(absent) > 8 else "")
    return f"{len(absent)} of {expected} runs (arms × fractions × repetitions) are missing: {shown}."


def heading(result: Comparison) -> str:
    """'segmentation: dice (higher is better)'."""
    direction = "lower" if result.score in comparison.LOWER_IS_BETTER else "higher"
    return f"{result.task}: {result.score} ({direction} is better)"


def on_grid(result: Comparison) -> list[str]:
    """A line where masks were not compared on the grid that their scans were read on."""
    return [RESAMPLED] if result.score in scores.OF_MASKS and result.grid == RECORD else []


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """Header and rows as a Markdown table, numbers to the right."""
    lines = [rows[0], ["---", *["---:"] * (len(rows[0]) - 1)], *rows[1:]]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines)


def labelled_lines(tables: Tables, task: str) -> list[str]:
    """How many cases of each split had a label to learn from or be scored by: a line of each workdir that says so."""
    found = [runs.record(workdir).get("labelled") or {} for workdir in tables.workdirs.get(task, ())]
    lines = ["; ".join(one[name] for name in SPLITS if name in one) for one in found if one]
    return [f"{line}." for line in dict.fromkeys(lines)]


def _section(result: Comparison) -> str:
    parts = [f"## {heading(result)}", *on_grid(result), markdown_table(score_rows(result))]
    if result.differences:
        parts += ["Difference to scratch, with its 95 % interval:", markdown_table(difference_rows(result))]
    parts += ["\n".join(f"- {line}" for line in in_words(result))]
    return "\n\n".join([*parts, basis(result)])


def _runs(tables: Tables, task: str) -> str:
    accepted = runs.mismatches(tables.workdirs.get(task, ()))
    return "\n\n".join([f"## Runs of {task}", runs_line(tables, task), *labelled_lines(tables, task), *accepted])


def _findings(result: Comparison, one: Arm) -> Iterator[str]:
    by_verdict: dict[str, list[float | None]] = {}
    for key in columns(result):
        found = result.differences.get((one, key))
        said = comparison.verdict(found, result.score) if found else "not measured"
        by_verdict.setdefault(said, []).append(key)
    for said, keys in by_verdict.items():
        fractions = ", ".join(f"{key:g}" for key in keys if key is not None)
        where = [f"at {fractions}\u00a0%"] * bool(fractions) + ["in AULC"] * (None in keys)
        yield f"{said} {' and '.join(where)}"


def _heads(result: Comparison) -> list[str]:
    counts = [f"{fraction:g} % ({result.labelled[fraction]:g})" for fraction in result.fractions]
    return [*counts, "AULC"] if len(counts) > 1 else counts


def columns(result: Comparison) -> list[float | None]:
    """Columns of the tables: the fractions, then None for the area."""
    return [*result.fractions, None] if len(result.fractions) > 1 else [*result.fractions]


def compared(result: Comparison) -> list[Arm]:
    """The arms that are compared to scratch."""
    return [one for one in result.arms if one != SCRATCH] if SCRATCH in result.arms else []


def _range(counts: Sequence[int], what: str) -> str:
    low, high = min(counts), max(counts)
    return f"{low if low == high else f'{low} to {high}'} {what}{'' if high == 1 else 's'}"


def _signed(value: float, digits: int) -> str:
    return f"{'−' if value < 0 else '+'}{abs(value):.{digits}f}"
