"""tools/readers/person_names: whom one path speaks of, whatever the other paths of the data set say."""

import pytest

from tools.readers import person_names


@pytest.mark.parametrize(
    ("stem", "patient"),
    [
        ("P000/2011-04-18/T1", "P000"),
        ("P000/2011-04-18_14_20_32.0/I7000/scan", "P000"),
        ("P000/20110418T101112/FLAIR", "P000"),
        ("study/P01/v1/20190101/T1", "study/P01"),
        ("P12/MP-RAGE/2011-04-18/I70/scan", "P12"),
        ("smith/2011-04-18/T1", "smith"),
        ("2011-04-18/0007/T1", "0007"),
        ("site_3/visit1/012", "site_3/012"),
        ("boston/visit1/012", "boston/012"),
        ("2021-03-15_0007", "0007"),
        ("baseline_007", "007"),
        ("followup_007", "007"),
        ("V1_P007_flair", "P007_flair"),
        ("P007Visit1", "P007"),
        ("P007Baseline", "P007"),
        ("P07 visit 2", "P07"),
        ("007_preop", "007"),
        ("post/007", "007"),
        ("P07_m06", "P07"),
        ("P07/m06/T1", "P07"),
        ("X07_MR2/mpr", "X07"),
        ("P07_slice012", "P07"),
        ("left_007", "007"),
        ("V1_patient003", "patient003"),
        ("mri/ses-1_sub-04", "mri/sub-04"),
        ("rawdata/sub-04/anat/sub-04_T1w", "sub-04"),
        ("derivatives/fmriprep-20.2/sub-04/anat/sub-04_desc-preproc_T1w", "sub-04"),
        ("siteA/sub-04/ses-1/T1w", "siteA/sub-04"),
        ("skull_stripped/P07_v1", "P07"),
        ("P07/20110418T0910", "P07"),
        ("P07_2011-04-18_09h10m22", "P07"),
        ("P07_20110418091022417", "P07"),
        ("P07_15.01.1999", "P07"),
        ("PETCT_0a1b2c3d4e/01-23-2001-NA-PET-CT whole-10001/CT", "PETCT_0a1b2c3d4e"),
    ],
)
def test_a_person_stands_beside_a_visit(stem, patient):
    assert person_names.of_path(stem) == patient


@pytest.mark.parametrize(
    ("stem", "patient"),
    [
        ("ADNI/002_S_0295/MP-RAGE/2006-04-18_08_20_30.0/I13722/scan", "002_S_0295"),
        ("ADNI_002_S_0295_MR_MP-RAGE__br_raw_20060418193538653_1_S13408_I13722", "002_S_0295"),
        ("oasis/OAS1_0001_MR2/mpr-1", "OAS1_0001"),
        ("OAS30001_MR_d0129/anat/x", "OAS30001"),
        ("any/TCGA-3K-AB12-01A", "TCGA-3K-AB12"),
        ("BraTS-GLI-00005-001/t1", "BraTS-GLI-00005"),
        ("UPENN-GBM-00017_21", "UPENN-GBM-00017"),
        ("C3L-00016-02", "C3L-00016"),
        ("UM_1_0050272", "0050272"),
    ],
)
def test_a_number_of_a_collection_is_a_person_in_any_folder(stem, patient):
    assert person_names.of_path(stem) == patient


@pytest.mark.parametrize(
    "stem",
    [
        "000",
        "case_1_2",
        "mr_0001",
        "left_atrium_1",
        "visit1/T1",
        "exam_0001/flair",
        "lung_001_0000",
        "batch1/scan_1",
        "m001",
    ],
)
def test_who_is_not_named_is_none(stem):
    assert person_names.of_path(stem) is None


def test_classes_are_no_part_and_what_is_left_without_a_visit_can_be_asked_for():
    assert person_names.of_path("benign/7_L", ["benign"]) == "7"
    assert person_names.of_path("ds1/visit1/P02/T1", before=True) == "ds1"
    assert person_names.of_path("ds1/visit1/P02/T1", before=False) == "ds1/P02"


@pytest.mark.parametrize(
    ("form", "whole"),
    [
        ("{d}_{t}", "{d}T{t}"),
        ("site/{d} {t}", "site/{d}T{t}"),
        ("{d}/{t}/T1", "{d}T{t}/T1"),
        ("{d}-{t}_P007", "{d}T{t}_P007"),
    ],
)
def test_times_of_day_beside_dates_are_parts_of_them(form, whole):
    moments = [(f"2020030{day}", time) for day in (1, 2) for time in ("080000", "093000", "110000")]
    timed = person_names.with_times(form.format(d=d, t=t) for d, t in moments)
    assert timed == {form.format(d=d, t=t): whole.format(d=d, t=t) for d, t in moments}
    assert {person_names.of_path(stem) for stem in timed.values()} == {"P007" if "P007" in form else None}


def test_times_may_have_no_seconds_or_be_of_both_kinds():
    stems = ["2020-03-01_08-15", "2020-03-02_1330", "2020-03-02_14-20-09", "2020-03-03_101112", "P7_v1"]
    times = ["2020-03-01T081500", "2020-03-02T133000", "2020-03-02T142009", "2020-03-03T101112", "P7_v1"]
    assert person_names.with_times(stems) == dict(zip(stems, times, strict=True))


@pytest.mark.parametrize(
    "numbers",
    [
        ("120045", "995432"),  # no time of day
        ("100001", "100002", "100003"),  # run on
        ("0001", "0007"),  # nobody is scanned at night
        ("0801", "1102"),
        ("08-3",),
        ("080000x",),
    ],
)
def test_numbers_beside_dates_that_are_no_times_stay(numbers):
    stems = [f"2020-03-01_{number}" for number in numbers]
    assert person_names.with_times(stems) == {stem: stem for stem in stems}


def test_numbers_that_begin_anew_each_day_count_scans_and_others_do_not():
    def left(*stems):
        named = {stem: person_names.of_path(stem) for stem in stems}
        return set(person_names.without_counters(named, {stem: stem for stem in stems}))

    assert not left("2020-03-01_1", "2020-03-01_2", "2020-03-02_1")
    assert not left("a/2020-03-01/T1_001", "a/2020-03-02/T1_001", "b/2020-03-02/T1_001", "b/2020-03-02/T1_002")
    for kept in (("2020-03-01_1", "2020-03-01_3"), ("2020-03-01_P1", "2020-03-02_P1"), ("2020-03-01_7",)):
        assert left(*kept) == set(kept)
