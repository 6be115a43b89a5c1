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
