"""python -m tests.tools.fuzz_readers [--count 2000] [--seed 0]: damaged files of every format, through the converter.

Every case is converted, quarantined or refused in one line. Anything else, more than 5 s or more than 1 GB is a fault.
A new format takes part with one function in SEEDS that returns its files.
"""

import contextlib
import gzip
import io
import json
import os
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import nibabel
import numpy as np
from absl import app, flags
from PIL import Image

from ssl3d_tf.errors import InputError
from tests.tools import dicom_files, dicom_mask_files, picture_files
from tools.conversion import conversion
from tools.conversion.settings import Settings
from tools.readers.layouts import Request

ROOT = Path(__file__).resolve().parents[2]
MOST_SECONDS, MOST_MB = 5, 1000
ADDRESS_SPACE = 8 << 30  # keeps a fault from taking the machine down; far beyond what is allowed
EXTREMES = (0, 1, -1, 2**7, 2**15 - 1, -(2**15), 2**31 - 1, -(2**31), 2**63 - 1, -(2**63))


class Case(NamedTuple):
    """What became of one damaged file."""

    number: int
    kind: str
    outcome: str
    seconds: float
    peak_mb: float


def voxels(shape, dtype=np.int16):
    return np.random.default_rng(0).integers(0, 200, shape).astype(dtype)


def nifti(suffix, kind=nibabel.Nifti1Image):
    image, mask = (kind(each, np.eye(4)) for each in (voxels((9, 8, 7)), voxels((9, 8, 7), np.uint8) // 2))
    pack = gzip.compress if suffix.endswith("gz") else bytes
    return {f"a{suffix}": pack(image.to_bytes()), f"a_mask{suffix}": pack(mask.to_bytes())}


def pair(pack=bytes, suffix=""):
    with tempfile.TemporaryDirectory() as folder:
        nibabel.save(nibabel.Nifti1Pair(voxels((9, 8, 7)), np.eye(4)), f"{folder}/a.img")
        return {path.name + suffix: pack(path.read_bytes()) for path in Path(folder).iterdir()}


def placeless():
    """A NIfTI in micron and a mask without sizes and form codes, both under names that mislead."""
    affine = np.diag([-500.0, 500, 500, 1])
    image, mask = (nibabel.Nifti1Image(each, affine) for each in (voxels((9, 8, 7)), voxels((9, 8, 7), np.uint8) // 2))
    image.header.set_xyzt_units("micron")
    data = bytearray(mask.to_bytes())
    data[80:92], data[252:256] = bytes(12), bytes(4)
    return {"a.nii": gzip.compress(image.to_bytes()), "a_mask.nii.gz": bytes(data)}


def array(save, name, **arrays):
    file = io.BytesIO()
    save(file, **arrays) if arrays else save(file, voxels((9, 8, 7)))
    return {name: file.getvalue()}


def medmnist():
    arrays = {"train_images": voxels((5, 8, 8), np.uint8), "train_labels": voxels((5, 1), np.uint8)}
    return array(np.savez_compressed, "m.npz", **arrays)


def picture(name):
    file = io.BytesIO()
    Image.fromarray(voxels((20, 24, 3), np.uint8)).save(file, format=name.upper().replace("JPG", "JPEG"))
    return {f"a.{name}": file.getvalue()}


def turned(name):
    """A picture that says to be turned, and a palette of labels."""
    exif, file, labels = Image.Exif(), io.BytesIO(), io.BytesIO()
    exif[0x0112] = 6
    Image.fromarray(voxels((20, 24, 3), np.uint8)).save(file, format=name, exif=exif)
    Image.fromarray(voxels((24, 20), np.uint8) % 3).convert("P").save(labels, format="PNG")
    return {f"a.{name}": file.getvalue(), "a_mask.png": labels.getvalue()}


def drawn():
    """A photograph, a mask with an alpha channel that shows it, and a second one with a palette, both of 0 and 1."""
    photo, first, second = io.BytesIO(), io.BytesIO(), io.BytesIO()
    labels = np.kron(voxels((5, 6), np.uint8) % 2, np.ones((4, 4), np.uint8))
    Image.fromarray(voxels((20, 24, 3), np.uint8)).save(photo, format="PNG")
    Image.fromarray(np.stack([labels] * 3 + [labels * 255], -1)).save(first, format="PNG")
    Image.fromarray(labels).convert("P").save(second, format="PNG")
    return {"a.png": photo.getvalue(), "a_mask.png": first.getvalue(), "a_mask_1.png": second.getvalue()}


def series():
    """A NIfTI whose fourth axis is time."""
    image = nibabel.Nifti1Image(voxels((9, 8, 7, 4)), np.eye(4))
    image.header.set_xyzt_units("mm", "sec")
    image.header["pixdim"][4] = 2.5
    return {"a.nii.gz": gzip.compress(image.to_bytes())}


def table():
    rows = b"path,label,patient,mask,split\na.npy,1,p0,,train\nb.npy,0,p1,a.npy,\n"
    return {"t.csv": rows, **array(np.save, "a.npy"), **array(lambda file, value: np.save(file, value // 2), "b.npy")}


def decathlon():
    value = {"name": "t", "modality": {"0": "CT"}, "labels": {"0": "air"}, "training": [{"image": "./a.nii"}]}
    return {"dataset.json": json.dumps(value).encode(), "a.nii": nifti(".nii")["a.nii"]}


def dicom(write, shape=(9, 8, 6)):
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), voxels(shape), np.eye(4))
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def with_mask(write):
    """A series, and what `write` makes of its folder, two regions in its grid."""
    regions = {name: np.zeros((9, 8, 6), bool) for name in ("liver", "spleen")}
    regions["liver"][1:4, 2:6, 1:5], regions["spleen"][5:8, 2:5, 2:4] = True, True

    def written(folder, *volume):
        dicom_files.write_series(folder, *volume, suffix=".dcm", FrameOfReferenceUID=dicom_mask_files.FRAME)
        write(folder / "mask.dcm", regions)

    return dicom(written)


def structures(path, regions):
    corners = {name: np.argwhere(region)[[0, -1]] for name, region in regions.items()}
    squares = [
        (name, np.array([(x0, y0, z), (x1, y0, z), (x1, y1, z), (x0, y1, z)], float))
        for name, ((x0, y0, z0), (x1, y1, z1)) in corners.items()
        for z in range(z0, z1 + 1)
    ]
    return dicom_mask_files.write_structures(path, squares)


SEEDS = {
    "nii": lambda: nifti(".nii"),
    "nii.gz": lambda: nifti(".nii.gz"),
    "nifti2": lambda: nifti(".nii.gz", nibabel.Nifti2Image),
    "hdr+img": pair,
    "npy": lambda: array(np.save, "a.npy"),
    "hdr.gz": lambda: pair(gzip.compress, ".gz"),
    "placeless": placeless,
    "npy first": lambda: array(lambda file, value: np.save(file, value[None]), "a.npy"),
    "npz": lambda: array(np.savez_compressed, "a.npz", volume=voxels((9, 8, 7))),
    "npz mask": lambda: array(np.savez_compressed, "a.npz", image=voxels((9, 8, 7)), mask=voxels((9, 8, 7), np.uint8)),
    "series": series,
    "drawn": drawn,
    "medmnist": medmnist,
    "png": lambda: picture("png"),
    "jpg": lambda: picture("jpg"),
    "tif": lambda: picture("tiff"),
    "png 16": lambda: {"a.png": picture_files.png(voxels((20, 24, 4), np.uint16))},
    "tif 16": lambda: {"a.tif": picture_files.tiff(voxels((20, 24, 3), np.uint16), 2, is_packed=True)},
    "tif white": lambda: {"a.tif": picture_files.tiff(voxels((20, 24), np.uint16), 0)},
    "exif": lambda: turned("jpeg"),
    "csv": table,
    "json": decathlon,
    "dicom": lambda: dicom(lambda folder, *volume: dicom_files.write_series(folder, *volume, suffix=".dcm")),
    "seg": lambda: with_mask(lambda path, regions: dicom_mask_files.write_seg(path, regions, np.eye(4))),
    "rtstruct": lambda: with_mask(structures),
    "enhanced": lambda: dicom(lambda folder, *volume: dicom_files.write_enhanced(folder / "a.dcm", *volume)),
}


def damaged(files, random):
    """`files` (name -> bytes) with one of them changed, within its compression or outside it."""
    name = sorted(files)[random.integers(len(files))]
    name = "mask.dcm" if "mask.dcm" in files and random.random() < 0.7 else name  # one among many of another kind
    data = files[name]
    inside = random.random() < 0.6
    if inside and data.startswith(b"\x1f\x8b"):
        data = gzip.compress(mutated(gzip.decompress(data), random), mtime=0)
    elif inside and name.endswith(".npz"):
        data = rezipped(data, random)
    elif inside and name.endswith(".png"):
        data = with_checksums(mutated(data, random))
    else:
        data = mutated(data, random)
    return {**files, name: data}


def mutated(data, random):
    """One or two changes, three quarters of them in the first 400 bytes, where headers are."""
    out = bytearray(data)
    for _ in range(random.integers(1, 3)):
        most = min(len(out), 400 if random.random() < 0.75 else len(out))
        change = CHANGES[random.integers(len(CHANGES))]
        change(out, int(random.integers(max(1, most))), random)
    return bytes(out)


def put_extreme(out, at, random):
    size = (1, 2, 4, 8)[random.integers(4)]
    number, order = EXTREMES[random.integers(len(EXTREMES))], ("little", "little", "big")[random.integers(3)]
    out[at - at % size : at - at % size + size] = (number & (256**size - 1)).to_bytes(size, order)


def put_float(out, at, random):
    out[at - at % 4 : at - at % 4 + 4] = struct.pack("<f", (np.nan, np.inf, -1e30, 1e9)[random.integers(4)])


def put_random(out, at, random):
    length = (1, 1, 1, 40)[random.integers(4)]
    out[at : at + length] = random.bytes(length)


def repeat(out, at, random):
    out[at:at] = out[at : at + random.integers(1, 40)]


def cut(out, at, random):
    del out[at : at + (int(random.integers(1, 40)) if random.random() < 0.5 else len(out))]


CHANGES = (put_extreme, put_extreme, put_extreme, put_float, put_random, put_random, repeat, cut)


def rezipped(data, random):
    """The archive with one member damaged and its checksum right."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        names = old.namelist()
        chosen = names[random.integers(len(names))]
        for name in names:
            new.writestr(name, mutated(old.read(name), random) if name == chosen else old.read(name))
    return out.getvalue()


def with_checksums(data):
    """A PNG whose chunks' checksums fit, so that what they say is believed."""
    out, at = bytearray(data), 8
    while at + 12 <= len(out):
        end = at + 8 + struct.unpack_from(">I", out, at)[0]
        if end + 4 > len(out):
            break
        struct.pack_into(">I", out, end, zlib.crc32(out[at + 4 : end]))
        at = end + 4
    return bytes(out)


def outcome(folder):
    """'converted', 'quarantined' or 'refused'; any other fault is raised."""
    found = list((folder / "raw").iterdir())
    named = found[0] if found[0].name == "m.npz" else folder / "raw"  # of many rows: it is named itself
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            done = conversion.convert(Request(str(named)), folder / "out", Settings())
    except InputError as error:
        if "\n" in str(error):
            raise
        return "quarantined" if "can be used" in str(error) else "refused"
    return "quarantined" if done.faults else "converted"


def peak_mb():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmHWM"))


def child(first, count, seed):
    """Cases `first` to `count`, each told on a line of its own; dies with the first one that hangs or crashes."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    seeds = {kind: make() for kind, make in SEEDS.items()}
    for number in range(first, count):
        kind = list(seeds)[number % len(seeds)]
        files = damaged(seeds[kind], np.random.default_rng((seed, number)))
        with tempfile.TemporaryDirectory() as folder:
            raw = Path(folder) / "raw"
            raw.mkdir()
            for name, data in files.items():
                (raw / name).write_bytes(data)
            signal.alarm(MOST_SECONDS + 1)  # its default action ends the process, whatever code it is in
            start = time.monotonic()
            try:
                what = outcome(Path(folder))
            except Exception as error:  # this is what is looked for
                what = f"crash: {type(error).__name__}: {error}"
            signal.alarm(0)
        print(json.dumps(Case(number, kind, what, time.monotonic() - start, peak_mb())), flush=True)


def run(count, seed):
    """All cases, in processes that are started again behind one that dies."""
    cases = []
    while len(cases) < count:
        command = [sys.executable, "-m", "tests.tools.fuzz_readers", f"--first={len(cases)}", f"--count={count}"]
        done = subprocess.run(
            [*command, f"--seed={seed}", "--child"], capture_output=True, text=True, check=False, cwd=ROOT
        )
        cases += [Case(*json.loads(line)) for line in done.stdout.splitlines()]
        if len(cases) < count:
            kind, why = list(SEEDS)[len(cases) % len(SEEDS)], f"crash: exit code {done.returncode}"
            cases.append(Case(len(cases), kind, why, MOST_SECONDS, 0))
    return cases


def faults(cases):
    """Those that neither convert nor are set aside, take too long or too much memory."""
    return [c for c in cases if c.outcome.startswith("crash") or c.seconds >= MOST_SECONDS or c.peak_mb >= MOST_MB]


def main(_):
    values = flags.FLAGS
    if values.child:
        child(values.first, values.count, values.seed)
        return
    cases = run(values.count, values.seed)
    for kind in SEEDS:
        print(f"{kind:10s}", dict(Counter(c.outcome.split(":")[0] for c in cases if c.kind == kind)))
    slowest, largest = max(c.seconds for c in cases), max(c.peak_mb for c in cases)
    print(f"{len(cases)} cases, slowest {slowest:.2f} s, peak {largest:.0f} MB, faults {len(faults(cases))}")
    print(*faults(cases), sep="\n")
    sys.exit(bool(faults(cases)))


if __name__ == "__main__":
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    flags.DEFINE_integer("count", 2000, "Cases.")
    flags.DEFINE_integer("seed", 0, "Of all damage.")
    flags.DEFINE_integer("first", 0, "Number of the first case.")
    flags.DEFINE_bool("child", False, "Run the cases in this process.")
    app.run(main)
