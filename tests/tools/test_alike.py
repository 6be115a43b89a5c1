"""tools/readers/alike: names that may be visits of one person are a doubt, whose pattern joins these and no others."""

import itertools
import re

import pytest

from tests.tools.test_patients import grouped
from tools.readers import alike

PEOPLE = range(12)


def named(form, visits=(1, 2)):
    """Path -> who it is of."""
    return {form(person, visit): person for person, visit in itertools.product(PEOPLE, visits)}


def partition(items, of):
    """How the persons of `of` and the patients of `items` lie over one another."""
    pairs = {(item.patient, of[item.id]) for item in items}
    patients, people = zip(*pairs, strict=True)
    return len(pairs), len(set(patients)), len(set(people))


@pytest.mark.parametrize(
    "form",
    [
        lambda p, v: f"{1000 + p}-{v}-CT",
        lambda p, v: f"case_{p}_{v}",
        lambda p, v: f"imagesTr/case_{p}_{v}_0000",
        lambda p, v: f"K{p}{'ab'[v - 1]}",
        lambda p, v: f"{p:04d}{'LR'[v - 1]}",
        lambda p, v: f"s{p:02d}s{v}",
        lambda p, v: f"P{p} ({v})",
        lambda p, v: f"P{p:02d}_a long tail_of words_{v}",
        lambda p, v: f"grp/AB{p:03d}/{v:02d}/x",
        lambda p, v: f"P{p}/{['one', 'two'][v - 1]}/2011-04-18/I{10 * p + v}",
        lambda p, v: f"{['first', 'second'][v - 1]}/{p:03d}",
        lambda p, v: f"{['first', 'second'][v - 1]}_{p:03d}",
        lambda p, v: f"{['first', 'second'][v - 1]}/case_{p:03d}",
        lambda p, v: f"{2018 + v}/{p:04d}",
        lambda p, v: f"M{12 * v:02d}_P{p:03d}",
        lambda p, v: f"{v}-{p:03d}",
        lambda p, v: f"smith{'abcdefghijkl'[p]}_{v}",
        lambda p, v: f"smith{'abcdefghijkl'[p]}/{v}",
        lambda p, v: f"{['raw', 'fancy'][v - 1]}/P{p:03d}/t1",
        lambda p, v: f"{['a', 'b'][v - 1]}/sub-{p:02d}",
        lambda p, v: f"{20586908 + 34 * (2 * p + v)}_6c{p:02d}3a14b80a85f1_MG_{'RL'[v - 1]}_CC_ANON",
        lambda p, v: f"psma_{p:02d}f833d46f153cd2/{['CT', 'SUV'][v - 1]}",
        lambda p, v: f"Sets/A/{p}/DICOM_anon/i{v:04d},0000b",
    ],
)
def test_names_that_are_alike_are_a_doubt_whose_pattern_makes_people_of_them(form):
    of = named(form)
    found = grouped(*of)
    ((word, what),) = found.doubts
    assert word == "visits"
    assert partition(found.items, of)[1] >= 2 * len(PEOPLE)  # nobody is joined without being told
    pattern = re.search("found by '(.+)'$", what)[1]
    assert partition(grouped(*of, how=pattern).items, of) == (12, 12, 12)


@pytest.mark.parametrize(
    "form",
    [
        lambda p, v: f"P{p:03d}_v{v}",
        lambda p, v: f"P{p:03d}/201{v}-04-18/I{p * 100 + v}",
        lambda p, v: f"P{p:03d}_slice{v:03d}",
        lambda p, v: f"P{p:03d}/{v:03d}",
        lambda p, v: f"PETCT_{p:x}a2b3c4d5e/{['CT', 'PET', 'SUV', 'CTres', 'T1'][v - 1]}",
        lambda p, v: f"P{p}/{v:03d}",
        lambda p, v: f"case_{p}_{v}",
        lambda p, v: f"images_001/{p:08d}_{v:03d}",
        lambda p, v: f"Maus{p}/{['CT', 'PET', 'SUV', 'CTres', 'T1'][v - 1]}",
    ],
)
def test_people_fewer_than_scans_of_one_are_a_doubt(form):
    of = {form(person, visit): person for person in range(3) for visit in range(1, 6)}
    found = grouped(*of)
    assert len({item.patient for item in found.items}) == 15
    ((_, what),) = found.doubts
    assert "15 examples share 3 names" in what
    pattern = re.search("found by '(.+)'$", what)[1]
    assert partition(grouped(*of, how=pattern).items, of) == (3, 3, 3)


@pytest.mark.parametrize(
    "names",
    [
        [f"{number:03d}" for number in range(200)],
        [f"images/case_{number:05d}_0000" for number in range(60)],
        [f"batch{number // 10}/scan_{number % 10:03d}" for number in range(60)],
        [f"clinic_{number // 2:02d}/2020010{number % 7 + 1}/{number:04d}" for number in range(60)],
        [f"siteA/sub-{number:02d}" for number in range(9)] + [f"siteB/sub-{number:02d}" for number in range(9)],
        [f"Task{number // 20:02d}_x/imagesTr/x_{number:03d}" for number in range(60)],
        [f"scan_2020-{number % 12 + 1:02d}-{number // 12 + 1:02d}" for number in range(60)],
        [f"{number * 2654435761 % 2**32:08x}-{number:04x}" for number in range(60)],
        [f"{('liver', 'spleen', 'lung')[number % 3]}_{number:02d}" for number in range(27)],
        [f"site_{'abcdefghijkl'[n // 2]}/{n:03d}" for n in range(24)],
        [f"exam_{number:04d}/T1" for number in range(30)],
        [f"subset{number % 10}/1.3.6.1.4.1.14519.5.2.1.6279.6001.{10**20 + 977 * number}" for number in range(40)],
        [f"{kind}/{kind} ({number})" for kind in ("benign", "malignant") for number in range(1, 21)],
        [f"{kind} ({number})" for kind in ("polyp", "ulcer") for number in range(1, 21)],
        [f"{kind}/{number:03d}" for kind in ("control", "patient") for number in range(20)],
        [f"{kind}-{number}" for kind in ("COVID", "Lung_Opacity", "Viral Pneumonia") for number in range(20)],
        [f"{kind}/Tr-{kind[:2]}_{number:04d}" for kind in ("glioma", "pituitary") for number in range(20)],
        [f"{('Pitt', 'NYU', 'UM_1', 'UM_2')[number % 4]}_{50003 + number:07d}" for number in range(40)],
        [f"{('Rome', 'Oslo', 'UM_1', 'UM_2')[number % 4]}_{71003 + number}" for number in range(40)],
        [f"{'abcdefghijkl'[number // 2] * 3}_{1000 + 7 * number}" for number in range(24)],
        [f"images_{number // 10:03d}/{number:08d}_000" for number in range(60)],
        [f"HAM10000_images_part_{1 + number % 2}/ISIC_{24306 + number:07d}" for number in range(60)],
        [f"2020-03-{day:02d} ({number})" for day in range(1, 13) for number in (1, 2)],
        [f"2020-03-{day:02d}_{number}" for day in range(1, 13) for number in (1, 2, 3)],
        [f"2020-03-{day:02d}/T1_{number}" for day in range(1, 13) for number in (1, 2, 3)],
        [f"202003{day:02d}_{time}" for day in range(1, 4) for time in ("080000", "093000", "110000", "121500")],
        [f"{site}/2020-03-{day:02d}_{time}" for site in "AB" for day in range(1, 9) for time in ("08-00-00", "0930")],
        [f"20200{day}15/{time}/scan" for day in range(1, 9) for time in ("080000", "110000")],
    ],
)
def test_strangers_stay_apart_without_a_doubt(names):
    found = grouped(*names)
    assert len({item.patient for item in found.items}) == len(names)
    assert not found.doubts


def test_numbers_that_begin_anew_in_declared_splits_are_no_doubt():
    assert not grouped(*(f"x/{n:03d}" for n in range(9)), split="train").doubts


def test_names_without_a_short_pattern_say_so():
    supposed = {f"9x{n}a": str(n) for n in (1, 2)} | {f"{n}xb": str(n) for n in (1, 2)}
    (what,) = alike.doubts({stem: stem for stem in supposed}, across={}, supposed=supposed)
    assert what == "4 examples share 2 names, as '1xb' and '9x1a' share '1', found by no short pattern"


def test_long_names_are_read_at_once():
    names = [f"{'scan' * 50}_{'of somebody ' * 10}{letter}" for letter in "abcdefgh"]
    assert not grouped(*names).doubts


def test_the_pattern_finds_the_name_that_is_shown_where_one_does():
    (_, what) = grouped(*(f"Sets/CT/{p}/DICOM_anon/i{v:04d}" for p in PEOPLE for v in (1, 2))).doubts[0]
    assert what.endswith("share 'Sets/CT/0', found by '^([^/]+/[^/]+/[^/]+)'")
