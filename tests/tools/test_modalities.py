"""tools/readers/modalities: scans of one person in several modalities, and people that each scanner numbers anew."""

import re

import pytest

from tests.tools.test_patients import grouped, of

NUMBERS = range(4)


def people(*forms, **changes):
    """The number of patients of names that `forms` make of each number, and what is doubted."""
    found = grouped(*(form.format(n=n) for form in forms for n in NUMBERS), **changes)
    return len({item.patient for item in found.items}), [what for _, what in found.doubts]


@pytest.mark.parametrize(
    "forms",
    [
        ("{n:03d}_t2w", "{n:03d}_adc", "{n:03d}_hbv", "{n:03d}_cor", "{n:03d}_sag"),  # PI-CAI
        ("CHUM-{n:03d}__CT", "CHUM-{n:03d}__PT"),
        ("{n}_T2", "{n}_DWI", "{n}_ADC", "{n}_TTP", "{n}_rCBV", "{n}_Tmax", "{n}_MTT", "{n}_CBF"),  # ISLES
        ("X-{n:04d}_ktrans", "X-{n:04d}_adc", "X-{n:04d}_t2w"),
        ("case_{n}_ceT1", "case_{n}_hrT2", "case_{n}_t1_ce", "case_{n}_b800"),
        ("T1/{n:04d}", "T2/{n:04d}", "FLAIR/{n:04d}"),
        ("CT/{n:04d}", "PET/{n:04d}", "SUV/{n:04d}"),
        ("MR/{n:04d}", "PET/{n:04d}"),
        ("{n:04d}_ct", "{n:04d}_mr"),
        ("P{n}/ct/P{n}", "P{n}/mr/P{n}"),
        ("ct/sub-{n}", "mr/sub-{n}"),
    ],
)
def test_modalities_of_one_number_are_of_one_person(forms):
    assert people(*forms) == (len(NUMBERS), [])


@pytest.mark.parametrize(
    "forms",
    [
        ("ct_train_{n}001_image", "mr_train_{n}001_image"),  # MM-WHS
        ("ct_train/ct_train_{n}001_image", "mr_train/mr_train_{n}001_image"),
        ("Sets/CT/{n}/x", "Sets/MR/{n}/x"),  # CHAOS
        ("CT/{n:04d}", "MR/{n:04d}"),
        ("us/{n:04d}", "mr/{n:04d}"),
        ("site_1/CT/{n:04d}", "site_1/MR/{n:04d}"),
    ],
)
def test_scanners_before_a_number_may_count_people_of_their_own(forms):
    count, (what,) = people(*forms)
    assert count == 2 * len(NUMBERS)
    assert f"{count} examples share {len(NUMBERS)} names" in what
    pattern = re.search("found by '(.+)'$", what)[1]
    assert people(*forms, how=pattern) == (len(NUMBERS), [])  # the flag decides, either way
    assert people(*forms, how="none") == (count, [])


def test_modalities_of_one_scanner_are_joined_though_scanners_stay_apart():
    names = [f"{kind}/{n}" for kind in ("CT", "PET", "T1", "T2") for n in (7, 8)]
    assert of(*names) == ["ct/7", "ct/8"] * 2 + ["mr/7", "mr/8"] * 2


def test_few_that_stay_apart_are_told_among_many():
    names = [f"CT/{n:03d}" for n in range(60)] + [f"MR/{n:03d}" for n in (7, 8)]
    (what,) = (what for _, what in grouped(*names).doubts)
    assert what.startswith("4 examples share 2 names, as 'CT/007' and 'MR/007'")
