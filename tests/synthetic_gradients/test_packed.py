"""A set in one file: the same images without a hub or a folder, small enough to travel; other files are refused."""
import io
import sys

import numpy as np
import PIL.Image
import pytest
import torch

from sobolev_lib.synthetic_gradients import __main__ as command, image_files
from sobolev_lib.synthetic_gradients.images import load_images
from sobolev_lib.synthetic_gradients.packed import pack, read_packed

from .test_images import TEST, TRAIN, alone, channels_first, small_set  # noqa: F401 (a fixture)


@pytest.fixture
def root(tmp_path, monkeypatch):
    folder = small_set(tmp_path / "data" / "flowers", classes=list("abcdefgh"))
    monkeypatch.setenv("SOBOLEV_DATA", str(folder))
    return folder


def test_a_packed_set_is_the_folders_own_and_needs_only_pillow(root, tmp_path, monkeypatch, capsys):
    folder = load_images("flowers")
    taken = tmp_path / "taken"
    assert command.main(["pack", "flowers", "--to", str(taken / "flowers.npz")]) == 0
    assert "flowers.npz: 0.0 MB" in capsys.readouterr().out
    image_files.open_split.cache_clear()
    monkeypatch.setitem(sys.modules, "datasets", None)
    monkeypatch.setenv("SOBOLEV_DATA", str(taken))
    packed = load_images("flowers")
    assert packed.source == "file" and packed.num_classes == folder.num_classes == 8
    assert torch.equal(packed.train[0], channels_first(TRAIN)) and torch.equal(packed.test[0], channels_first(TEST))
    assert all(torch.equal(a, b) for a, b in zip(packed.train + packed.test, folder.train + folder.test))


def test_files_above_the_limit_become_jpegs(root, tmp_path):
    splits = {split: image_files.open_split("flowers", split, root) for split in ("train", "test")}
    smooth = np.add.outer(np.arange(64), np.arange(64))[..., None].repeat(3, 2).astype(np.uint8)
    noisy = smooth + np.random.default_rng(0).integers(8, size=smooth.shape, dtype=np.uint8)      # a PNG keeps the noise
    buffer = io.BytesIO()
    PIL.Image.fromarray(noisy).save(buffer, "png")

    class Large:
        labels, num_classes = np.array([2]), 3

        def files(self, rows):
            return [{"bytes": buffer.getvalue(), "path": None}][rows]

    large = {"train": Large(), "test": Large()}
    whole = pack(tmp_path / "whole.npz", large)
    assert read_packed(tmp_path / "whole.npz", "train").files([0])[0]["bytes"] == buffer.getvalue()
    assert pack(tmp_path / "small.npz", large, limit=whole - 1) < whole
    file, = read_packed(tmp_path / "small.npz", "test").files(slice(None))
    image = PIL.Image.open(io.BytesIO(file["bytes"]))
    assert image.format == "JPEG" and np.abs(np.asarray(image).astype(int) - noisy).mean() < 4
    with pytest.raises(ValueError, match="limit: expected at least"):
        pack(tmp_path / "none.npz", splits, limit=100)
    assert not (tmp_path / "none.npz").exists()
    with pytest.raises(ValueError, match="splits: expected train and test, got train"):
        pack(tmp_path / "none.npz", {"train": splits["train"]})


def test_another_file_of_that_name_is_refused(tmp_path, capsys):
    for content in (b"no archive", b"", b"PK\x03\x04 cut short", None):
        path = tmp_path / "flowers.npz"
        path.write_bytes(content) if content is not None else np.savez(path, pictures=np.zeros(3))
        with pytest.raises(ValueError, match="expected a file made by .* pack"):
            load_images("flowers", folder=tmp_path)
    assert command.main(["pack", "flowers", "--to", str(tmp_path / "other.npz")]) == 2
    assert "flowers" in capsys.readouterr().err


def test_labels_out_of_range_are_named(root, tmp_path):
    train = image_files.open_split("flowers", "train", root)

    class Wrong:
        labels, num_classes, files = train.labels + 3, 8, staticmethod(train.files)

    pack(tmp_path / "flowers.npz", {"train": Wrong(), "test": Wrong()})
    with pytest.raises(ValueError, match="expected 0 to 7, got 3 to 8"):
        load_images("flowers", folder=tmp_path)


def test_grey_images_stay_grey_as_jpegs(tmp_path):
    buffer = io.BytesIO()
    PIL.Image.fromarray(np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)).save(buffer, "bmp")

    class Grey:
        labels, num_classes = np.array([0, 1]), 2

        def files(self, rows):
            return [{"bytes": buffer.getvalue(), "path": None}] * 2

    whole = pack(tmp_path / "whole.npz", {"train": Grey(), "test": Grey()})
    assert pack(tmp_path / "small.npz", {"train": Grey(), "test": Grey()}, limit=whole - 1) < whole
    shapes = {load_images(name, folder=tmp_path).train[0].shape for name in ("whole", "small")}
    assert shapes == {(2, 1, 64, 64)}


def test_a_damaged_file_is_refused_wherever_the_damage_lies(root, tmp_path):
    path = tmp_path / "flowers.npz"
    pack(path, {split: image_files.open_split("flowers", split, root) for split in ("train", "test")})
    whole, sound, refused = path.read_bytes(), read_packed(path, "train"), 0
    for place in range(0, len(whole), max(1, len(whole) // 150)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1:])
        try:
            found = read_packed(path, "train")             # the damage lies where nothing is read
            assert np.array_equal(found.contents, sound.contents) and np.array_equal(found.labels, sound.labels)
        except ValueError as error:
            assert "expected a file made by" in str(error)
            refused += 1
    assert refused > 50


@pytest.mark.parametrize("wrong", ["labels", "ends", "contents"])
def test_parts_that_do_not_fit_are_refused(root, tmp_path, wrong):
    path = tmp_path / "flowers.npz"
    pack(path, {split: image_files.open_split("flowers", split, root) for split in ("train", "test")})
    with np.load(path) as file:
        arrays = dict(file)
    arrays[f"train_{wrong}"] = np.append(arrays[f"train_{wrong}"], arrays[f"train_{wrong}"][-1:])
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match="do not fit each other"):
        read_packed(path, "train")
