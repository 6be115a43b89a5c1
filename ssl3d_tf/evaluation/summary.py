"""summary.md: what a comparison of arms shows, and what it does not, in tables and in words."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from ssl3d_tf.data.records.manifest import SPLITS
from ssl3d_tf.evaluation import comparison, one_class, reaching, runs, scales, tried
from ssl3d_tf.evaluation.comparison import Comparison, Estimate
from ssl3d_tf.evaluation.tables import RECORD, SCRATCH, Arm, Reached, Tables, arm

METHOD = (
    "Columns are percent of the training labels, in brackets labelled cases. Means and standard deviations (n − 1) "
    "are over repetitions: test split, checkpoint that was best in validation. Intervals are 95 % bootstrap intervals "
    "that keep to the range of the score. Differences to scratch are paired by repetition, and by case where "
    "cases.csv has them. Patients are drawn with all of their cases (slices, bricks, visits), which are alike; "
    "repetitions, being crossed with patients, are drawn separately (Owen, 2007, arXiv:0712.1111), 2,000 times with a "
    "fixed seed, and what both move the mean by is added up. The width is made that of Student's t for the sum of "
    "both variances (Hesterberg, 2015, arXiv:1411.5279; degrees of freedom by Satterthwaite, 1946), and never less "
    "than for either alone; patients without a score count in neither. With folds, where no patient is in two "
    "repetitions, repetitions alone are drawn, as they hold what patients differ by. Scores that only a list of "
    "predictions has, such as the AUC and kappa, are spread over its cases by the jackknife's pseudo-values (Efron & "
    "Stein, 1981, doi:10.1214/aos/1176345462). Of one repetition nothing is said to be better or worse: its interval "
    "is of that one run. AULC is the area under the learning curve, of the repetitions that have every fraction, by "
    "the trapezoid rule over the logarithm of the fraction of labels, divided by its range, so that it reads as an "
    "average score. Holm's correction takes all differences to scratch in one score, by Student's t of the same "
    "variances; a comparison that was named as the primary one before the runs is judged by its interval, uncorrected. "
    "An interval that contains 0 shows no difference; it does not show that there is none."
)

LEVEL = 0.05  # below which a corrected p is said to be a difference

RESAMPLED = (
    "On the resampled grid: masks were compared as the records hold them, since not every test case has its own on the "
    "grid that it was read on (data or tables of before that was kept, or --keep_native_masks=never)."
)


def text(
    tables: Tables,
    results: Sequence[Comparison],
    first: Sequence[str] = (),
    reached: Mapping[str, Sequence[Reached]] = MappingProxyType({}),
) -> str:
    """The whole summary as Markdown, of all comparisons and its first sentences; `reached` as `reaching.by_task`."""
    parts = ["# Finetuning: summary", *(f"**{line}**" for line in runs.seen(workdirs(tables))), *first]
    parts += [_section(result) for result in results] or ["No results on the test split yet."]
    parts += [_runs(tables, task, reached.get(task, ())) for task in dict.fromkeys(result.task for result in results)]
    return "\n\n".join([*parts, "## Method", METHOD]) + "\n"


def score_rows(result: Comparison) -> list[list[str]]:
    """Header and one row per arm: mean ± standard deviation by fraction, then the area."""
    rows = [["", *_heads(result)]]
    for one in result.arms:
        cells = [mean_sd(result.estimates.get((one, key)), digits(result)) for key in columns(result)]
        rows.append([comparison.name(one), *cells])
    if result.constant is not None:
        rows.append([one_class.NAME, *[f"{result.constant:.{digits(result)}f}"] * len(columns(result))])
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
    """How many repetitions, cases and patients all of it rests on."""
    found = list(result.estimates.values())
    if not found:
        return f"{result.score} is undefined in every run."
    said = [f"Rests on {_range([one.repetitions for one in found], 'repetition')}{_cases(result)}."]
    if fewer := _incomplete(result):
        said.append(f"AULC is of the repetitions that have every fraction: {'; '.join(fewer)}.")
    if count := sum(one.repetitions > 1 for one in result.differences.values()):
        said.append(
            "The interval of the one difference is not corrected."
            if count == 1
            else f"The {count} intervals of differences are not corrected for their number: "
            f"of as many without any difference, about {0.05 * count:.1f} would be said to differ."
        )
        said += _corrected(result)
    return " ".join(said)


def _corrected(result: Comparison) -> list[str]:
    """Which differences remain, corrected for their number; nothing to say of one."""
    found = sorted(comparison.adjusted(result).items(), key=lambda item: item[1])
    if len(found) < 2:
        return []
    told = [f"{comparison.name(one)}, {_column(key)} (p {_p(p)})" for (one, key), p in found if p < LEVEL]
    if told:
        return [f"Corrected (Holm, 1979) for all {len(found)}, these differ: {'; '.join(told)}."]
    return [f"Corrected (Holm, 1979) for all {len(found)}, none differs (smallest p {_p(found[0][1])})."]


def _p(value: float) -> str:
    return "< .001" if value < 0.001 else f"= {value:.2g}"


def _column(key: float | None) -> str:
    return "AULC" if key is None else f"{key:.3g}\u00a0%"


def _cases(result: Comparison) -> str:
    cases, patients = ([getattr(one, name) for one in result.estimates.values()] for name in ("cases", "patients"))
    if not all(cases):
        return "; there are no scores per case, so intervals say nothing on the choice of test cases"
    counted = f" and {_range(cases, 'test case')}"
    if result.names_patients:
        return f"{counted} of {_range(patients, 'patient')}"
    return f"{counted}; cases.csv does not say whose each is, so each counts as a patient of its own"


def _incomplete(result: Comparison) -> list[str]:
    """Arms whose AULC is of fewer repetitions than they have: 'scratch 2 of 3'."""
    counts = {one: [e.repetitions for (of, _), e in result.estimates.items() if of == one] for one in result.arms}
    of_area = {one: result.estimates[one, None].repetitions for one in result.arms if (one, None) in result.estimates}
    return [f"{comparison.name(one)} {n} of {max(counts[one])}" for one, n in of_area.items() if n < max(counts[one])]


def runs_line(tables: Tables, task: str) -> str:
    """How many runs there are of how many, and which are missing."""
    absent, expected = comparison.missing_runs(tables, task)
    if not absent:
        return f"All {expected} runs (arms × fractions × repetitions) are there."
    shown = "; ".join(absent[:8]) + (f"; and {len(absent) - 8} more" if len(absent) > 8 else "")
    return f"{len(absent)} of {expected} runs (arms × fractions × repetitions) are missing: {shown}."


def heading(result: Comparison) -> str:
    """'segmentation: dice (higher is better)'."""
    direction = "lower" if scales.of(result.score).lower_is_better else "higher"
    return f"{result.task}: {result.score} ({direction} is better)"


def on_grid(result: Comparison) -> list[str]:
    """A line where masks were not compared on the grid that their scans were read on."""
    return [RESAMPLED] if scales.of(result.score).of_masks and result.grid == RECORD else []


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """Header and rows as a Markdown table, numbers to the right."""
    lines = [rows[0], ["---", *["---:"] * (len(rows[0]) - 1)], *rows[1:]]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines)


def labelled_lines(tables: Tables, task: str) -> list[str]:
    """How many cases of each split, or of all folds, had a label to learn from or be scored by, by workdir, if said."""
    found = [runs.record(workdir).get("labelled") or {} for workdir in tables.workdirs.get(task, ())]
    lines = ["; ".join(one[name] for name in (*SPLITS, "folds") if name in one) for one in found if one]
    return [f"{line}." for line in dict.fromkeys(lines)]


def workdirs(tables: Tables) -> list[Path]:
    """All that the tables are of, once each."""
    return list(dict.fromkeys(one for several in tables.workdirs.values() for one in several))


def one_class_lines(tables: Tables, task: str) -> list[str]:
    """A line where models name one class for every test case: how many, and the first of them."""
    found = one_class.runs(tables, task)
    if not found:
        return []
    shown = [
        f"{comparison.name(arm(row))}, {row.fraction:.3g} %, repetition {row.repetition} (class {row.predicted})"
        for row, _ in found[:4]
    ]
    more = f"; and {len(found) - 4} more" if len(found) > 4 else ""
    count = "One model names" if len(found) == 1 else f"{len(found)} models name"
    return [f"{count} one class for every test case: {'; '.join(shown)}{more}."]


def _section(result: Comparison) -> str:
    parts = [f"## {heading(result)}", *on_grid(result), markdown_table(score_rows(result))]
    if result.differences:
        parts += ["Difference to scratch, with its 95 % interval:", markdown_table(difference_rows(result))]
    parts += ["\n".join(f"- {line}" for line in in_words(result))]
    return "\n\n".join([*parts, basis(result)])


def _runs(tables: Tables, task: str, reached: Sequence[Reached]) -> str:
    accepted = runs.mismatches(tables.workdirs.get(task, ()))
    said = [*labelled_lines(tables, task), *tried.lines(tables, task), *accepted, *one_class_lines(tables, task)]
    table = reaching.table(reached)
    steps = [f"{reaching.TITLE}. {reaching.CAPTION}", markdown_table(table)] if table else []
    return "\n\n".join([f"## Runs of {task}", runs_line(tables, task), *said, *steps])


def _findings(result: Comparison, one: Arm) -> Iterator[str]:
    by_verdict: dict[str, list[float | None]] = {}
    for key in columns(result):
        found = result.differences.get((one, key))
        said = comparison.verdict(found, result.score) if found else "not measured"
        by_verdict.setdefault(said, []).append(key)
    for said, keys in by_verdict.items():
        fractions = ", ".join(f"{key:.3g}" for key in keys if key is not None)
        where = [f"at {fractions}\u00a0%"] * bool(fractions) + ["in AULC"] * (None in keys)
        yield f"{said} {' and '.join(where)}"


def _heads(result: Comparison) -> list[str]:
    counts = [f"{fraction:.3g} % ({result.labelled[fraction]:g})" for fraction in result.fractions]
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
