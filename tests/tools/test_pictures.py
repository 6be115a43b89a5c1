"""tools/readers/pictures and pixels: every mode as it is meant, none left to the library's silent conversion."""

import itertools

import numpy as np
import pytest
from PIL import Image

from ssl3d_tf.data.places import place
from tests.tools import picture_files
from tests.tools.converting import convert, examples, settings
from tools.readers import contract, files, grids, items
from tools.readers.contract import UnusableFileError


def noise(shape, dtype):
    return np.random.default_rng(1).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def write(path, data):
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_png_keeps_all_bits_and_drops_alpha(tmp_path, channels, dtype):
    voxels = noise((11, 7, channels), dtype)
    read = files.read(write(tmp_path / "a.png", picture_files.png(voxels)))
    kept = {1: 1, 2: 1, 3: 3, 4: 3}[channels]
    np.testing.assert_array_equal(read.voxels, voxels[..., :kept])
    assert read.voxels.dtype == dtype
    assert any("alpha" in note for note in read.notes) == (channels in (2, 4))
    assert files.probe(tmp_path / "a.png").is_8bit == (dtype == np.uint8)


def test_alpha_that_hides_nothing_is_not_worth_a_word(tmp_path):
    voxels = noise((6, 5, 4), np.uint16)
    voxels[..., 3] = 2**16 - 1
    assert not files.read(write(tmp_path / "a.png", picture_files.png(voxels))).notes


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("is_packed", [False, True])
def test_a_tiff_keeps_16_bits_of_each_colour(tmp_path, order, is_packed):
    voxels = noise((9, 13, 3), np.uint16)
    path = write(tmp_path / "a.tif", picture_files.tiff(voxels, 2, order=order, is_packed=is_packed))
    np.testing.assert_array_equal(files.read(path).voxels, voxels)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("is_packed", [False, True])
def test_white_is_zero_shows_the_same_as_black_is_zero(tmp_path, dtype, is_packed):
    shown = noise((8, 6), dtype)
    for photometric, stored in ((1, shown), (0, np.iinfo(dtype).max - shown)):
        path = write(tmp_path / "a.tif", picture_files.tiff(stored, photometric, is_packed=is_packed))
        np.testing.assert_array_equal(files.read(path).voxels[..., 0], shown)


def test_one_bit_white_is_zero_is_inverted(tmp_path):
    Image.fromarray(np.eye(8, dtype=bool)).save(tmp_path / "a.tif", tiffinfo={262: 0})
    with Image.open(tmp_path / "a.tif") as shown:
        assert np.array_equal(files.read(tmp_path / "a.tif").voxels[..., 0], np.asarray(shown.convert("L")))


def test_values_of_32_bits_keep_their_sign(tmp_path):
    unsigned, signed = np.array([[1, 2**32 - 2]], np.uint32), np.array([[-5, 7]], np.int32)
    for values, sample_format in ((unsigned, 1), (signed, 2), (np.array([[0.5, -2]], np.float32), 3)):
        path = write(tmp_path / "a.tif", picture_files.tiff(values, 1, sample_format=sample_format))
        np.testing.assert_array_equal(files.read(path).voxels[..., 0], values)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("is_packed", [False, True])
def test_values_of_8_bits_keep_their_sign_and_are_not_taken_for_grey_levels(tmp_path, order, is_packed):
    values = noise((9, 13), np.uint8).view(np.int8)
    (tmp_path / "raw").mkdir()
    data = picture_files.tiff(values, 1, order=order, is_packed=is_packed, sample_format=2)
    for name in "abc":
        path = write(tmp_path / f"raw/{name}.tif", data)
    assert not files.probe(path).is_picture
    with pytest.raises(UnusableFileError, match=r"holds -\d+ to 127; use labels"):
        files.read_mask(path)
    convert(tmp_path / "raw", place(str(tmp_path / "out")), settings(how="none"))
    np.testing.assert_array_equal(examples(tmp_path / "out")["a"].volume[..., 0], values)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (lambda: picture_files.tiff(np.ones((4, 4), np.float32), 0, sample_format=3), "white is 0"),
        (lambda: picture_files.tiff(noise((4, 5, 3), np.uint16), 2, planes=2), "of its 16 bits per colour 8"),
        (lambda: b"GIF89a" + b"\0" * 40, "it is a GIF"),
        (lambda: b"RIFF\0\0\0\0WEBP" + b"\0" * 40, "it is a WebP"),
    ],
)
def test_what_would_be_read_wrongly_says_why(tmp_path, data, reason):
    path = write(tmp_path / "a.tif", data())
    for read in (files.probe, files.read):
        with pytest.raises(UnusableFileError, match=reason):
            read(path)


def test_colours_of_print_are_refused(tmp_path):
    Image.new("CMYK", (4, 4)).save(tmp_path / "a.jpg")
    with pytest.raises(UnusableFileError, match="CMYK"):
        files.probe(tmp_path / "a.jpg")


def test_an_animation_is_no_volume(tmp_path):
    frames = [Image.fromarray(np.full((4, 5), number, np.uint8)) for number in (0, 90)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    with pytest.raises(UnusableFileError, match="animation of 2"):
        files.probe(tmp_path / "a.png")


def test_of_a_jpeg_of_several_pictures_the_first_is_read(tmp_path):
    frames = [Image.fromarray(np.full((8, 8), number, np.uint8)) for number in (10, 90)]
    frames[0].save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=frames[1:])
    read = files.read(tmp_path / "a.jpg")
    assert (read.voxels.shape, int(read.voxels.max())) == ((8, 8, 1), 10)
    assert any("several pictures" in note for note in read.notes)


def test_pages_of_two_kinds_are_no_volume(tmp_path):
    pages = [Image.new("L", (4, 5)), Image.new("I;16", (4, 5))]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(UnusableFileError, match="partly L, partly I;16"):
        files.read(tmp_path / "a.tif")


UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: np.rot90,
}


@pytest.mark.parametrize("turn", UPRIGHT)
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif"])
def test_pictures_are_turned_as_viewers_turn_them(tmp_path, name, turn):
    voxels = np.kron(np.array([[0, 60, 120], [180, 220, 250]], np.uint8), np.ones((8, 8), np.uint8))
    turned(tmp_path / name, voxels, turn)
    for read in (files.read, files.read_mask):
        np.testing.assert_array_equal(read(tmp_path / name).voxels[..., 0], UPRIGHT[turn](voxels))


@pytest.mark.parametrize("turn", UPRIGHT)
@pytest.mark.parametrize("is_packed", [False, True])
def test_a_tiff_of_any_kind_is_turned_once_and_that_is_noted(tmp_path, turn, is_packed):
    for shape, dtype in itertools.product([(6, 9), (6, 9, 3)], [np.uint8, np.uint16]):
        voxels = noise(shape, dtype)
        data = picture_files.tiff(voxels, voxels.ndim - 1, is_packed=is_packed, orientation=turn)
        read = files.read(write(tmp_path / "a.tif", data))
        np.testing.assert_array_equal(np.squeeze(read.voxels), UPRIGHT[turn](voxels))
        assert any("EXIF" in note for note in read.notes) == (turn > 1)


def turned(path, values, turn):
    """Writes a picture with that EXIF orientation, which is not drawn turned."""
    exif = Image.Exif()
    exif[0x0112] = turn
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path, **({"exif": exif} if turn > 1 else {}))


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_a_mask_on_the_picture_as_it_is_stored_names_the_turn_and_both_remedies_work(tmp_path, ending):
    for turns in ((6, 1), (1, 6)):
        for name, turn, dtype in (("a", turns[0], np.uint8), ("a_mask", turns[1], np.uint8)):
            turned(tmp_path / f"{name}.{ending}", noise((12, 7), dtype) // (1 + 84 * (name != "a")), turn)
        item = contract.Item("a", f"a.{ending}", "a", mask=f"a_mask.{ending}")
        with pytest.raises(UnusableFileError, match="turned upright, as its EXIF orientation says") as error:
            items.load(tmp_path, item)
        assert "has no such tag" in error.value.reason
        assert "resample" not in error.value.remedy
        assert "tag" in error.value.remedy
        for name, turn in (("a", 6), ("a_mask", 6)):  # the same tag
            turned(tmp_path / f"{name}.{ending}", noise((12, 7), np.uint8) // 85, turn)
        volume, mask = items.load(tmp_path, item)
        assert volume.voxels.shape == mask.voxels.shape == (7, 12, 1)
        turned(tmp_path / f"a_mask.{ending}", np.rot90(noise((12, 7), np.uint8) // 85, -1), 1)  # turned likewise
        np.testing.assert_array_equal(items.load(tmp_path, item)[1].voxels, mask.voxels)
    turned(tmp_path / f"a_mask.{ending}", noise((12, 8), np.uint8) // 85, 1)
    with pytest.raises(UnusableFileError, match="resample"):
        items.load(tmp_path, item)


@pytest.mark.parametrize(
    ("turn", "of_mask", "shape", "is_told"),
    [(3, 1, (7, 9), True), (6, 1, (8, 8), True), (3, 3, (7, 9), False), (1, 1, (8, 8), False), (6, 6, (8, 8), False)],
)
def test_a_mask_that_fits_a_turned_picture_either_way_is_told(tmp_path, turn, of_mask, shape, is_told):
    turned(tmp_path / "a.png", noise(shape, np.uint8), turn)
    turned(tmp_path / "a_mask.png", noise(shape, np.uint8) // 85, of_mask)
    volume, _ = items.load(tmp_path, contract.Item("a", "a.png", "a", mask="a_mask.png"))
    assert (grids.AS_SHOWN in volume.notes) == is_told


def test_pictures_of_16_bits_are_turned_too(tmp_path):
    voxels, exif = noise((6, 9, 3), np.uint16), Image.Exif()
    exif[0x0112] = 8
    path = write(tmp_path / "a.png", picture_files.png(voxels, exif=exif.tobytes()[6:]))
    np.testing.assert_array_equal(files.read(path).voxels, np.rot90(voxels))


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_labels_of_few_bits_are_not_scaled(tmp_path, bits):
    voxels = np.tile(np.arange(2**bits, dtype=np.uint8), (3, 1))
    Image.fromarray(voxels).quantize(2**bits).save(tmp_path / "p.png", bits=bits)  # a palette, for comparison
    rows = [np.packbits(np.unpackbits(row[:, None], axis=1)[:, -bits:].ravel()).tobytes() for row in voxels]
    data = bytearray(picture_files.png(np.zeros((3, 2**bits, 1), np.uint8)))
    head = data[16:24] + bytes([bits, 0, 0, 0, 0])
    body = picture_files.zlib.compress(b"".join(b"\0" + row for row in rows))
    chunks = [(b"IHDR", bytes(head)), (b"IDAT", body), (b"IEND", b"")]
    write(tmp_path / "a.png", bytes(data[:8]) + b"".join(map(picture_files._chunk, chunks)))
    np.testing.assert_array_equal(files.read_mask(tmp_path / "a.png").voxels[..., 0], voxels)
    assert files.read(tmp_path / "a.png").voxels.max() == 255


def test_grey_with_alpha_is_a_label_map(tmp_path):
    labels = noise((5, 4), np.uint8) % 3
    Image.fromarray(np.stack([labels, np.full_like(labels, 255)], -1)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(files.read_mask(tmp_path / "a.png").voxels[..., 0], labels)


def save_pictures(root, greys, colours, coloured):
    """Of 8 bits: stored as grey; grey, stored as colours; coloured."""
    root.mkdir()
    for number in range(greys + colours):
        picture = Image.fromarray(noise((12, 10), np.uint8) // (number + 1))
        picture.convert("L" if number < greys else "RGB").save(root / f"g{number}.png")
    for number in range(coloured):
        Image.fromarray(noise((12, 10, 3), np.uint8) // (number + 1)).save(root / f"h{number}.png")
    return root


@pytest.mark.parametrize(
    ("counts", "channels", "left_out"), [((4, 2, 0), 1, 0), ((0, 5, 0), 1, 0), ((4, 2, 1), 1, 1), ((1, 1, 5), 3, 1)]
)
def test_grey_stored_as_colours_is_grey(tmp_path, counts, channels, left_out):
    root = save_pictures(tmp_path / "raw", *counts)
    done = convert(root, tmp_path / "out")
    assert {example.volume.shape[-1] for example in examples(tmp_path / "out").values()} == {channels}
    assert len(done.faults) == left_out
    assert ("taken for grey" in (tmp_path / "out" / "summary.md").read_text()) == (channels == 1)


def test_a_changed_rule_of_intensity_is_said(tmp_path, capsys):
    root = save_pictures(tmp_path / "raw", 4, 0, 0)
    write(root / "deep.png", picture_files.png(noise((12, 10, 1), np.uint16)))
    convert(root, tmp_path / "out")
    for said in (capsys.readouterr().out, (tmp_path / "out" / "summary.md").read_text()):
        assert "--intensity=auto is percentile for all" in said
        assert "deep" in said
    convert(root, tmp_path / "chosen", settings(how="ct_window:0,255"))
    assert "percentile for all" not in capsys.readouterr().out
