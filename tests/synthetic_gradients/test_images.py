"""Images: digits without a download, folders and the hub by one road, a stream for ImageNet, augmentation in batch."""
import io
import math
import sys

import datasets
import numpy as np
import PIL.Image
import pyarrow
import pyarrow.parquet
import pytest
import torch

from sobolev_lib.synthetic_gradients import image_files, images
from sobolev_lib.synthetic_gradients.images import Images, augment, image_stream, load_images, normalize


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """No folder and no cache of this machine, and no hub: a test that needs one says so."""
    monkeypatch.delenv("SOBOLEV_DATA", raising=False)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    image_files.open_split.cache_clear()
    load = datasets.load_dataset

    def only_files(path, *args, **kwargs):
        assert path == "parquet", f"the hub was asked for {path}"
        return load(path, *args, **kwargs)

    monkeypatch.setattr(datasets, "load_dataset", only_files)
    yield
    image_files.open_split.cache_clear()


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def picture(height=8, width=8, *, seed=0, grey=False):
    shape = (height, width) if grey else (height, width, 3)
    return np.random.default_rng(seed).integers(256, size=shape, dtype=np.uint8)


def encoded(pixels, kind="png"):
    if isinstance(pixels, bytes):
        return pixels
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def write(path, pictures, labels, *, column="image", classes=None):
    """A parquet file as the hub has them; ``classes``: names of the labels, else they are mere integers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    label = datasets.ClassLabel(names=classes) if classes else datasets.Value("int64")
    features = datasets.Features({column: datasets.Image(), "label": label})
    rows = {column: [{"bytes": encoded(pixels), "path": None} for pixels in pictures], "label": list(labels)}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(path)


def channels_first(pictures):
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)


TRAIN, TEST = [picture(seed=k) for k in range(6)], [picture(seed=k) for k in range(10, 13)]


def small_set(folder, *, train=TRAIN, test=TEST, train_labels=None, test_labels=None, test_file="test.parquet", **kwargs):
    write(folder / "train.parquet", train, range(len(train)) if train_labels is None else train_labels, **kwargs)
    write(folder / test_file, test, range(len(test)) if test_labels is None else test_labels, **kwargs)
    return folder.parent


# --- digits -----------------------------------------------------------------------------------------------------

def test_digits_need_no_download_and_are_all_there(monkeypatch):
    from sklearn.datasets import load_digits
    for module in ("datasets", "PIL", "PIL.Image"):
        monkeypatch.setitem(sys.modules, module, None)
    digits, again = load_images(), load_images("digits")
    assert digits.name == "digits" and digits.source == "scikit-learn" and digits.num_classes == 10
    assert digits.encoding is None
    assert all(torch.equal(a, b) for a, b in zip(digits.train + digits.test, again.train + again.test))
    theirs = load_digits()
    expected = sorted((label, tuple(int(value * 255 / 16 + 0.5) for value in pixels))
                      for label, pixels in zip(theirs.target.tolist(), theirs.data.tolist()))
    ours = [(label, tuple(pixels.flatten().tolist())) for split in (digits.train, digits.test)
            for pixels, label in zip(split[0], split[1].tolist())]
    assert sorted(ours) == expected, "each image once, grey levels from 0 to 16 spread over 0 to 255"
    assert digits.train[0].shape[1:] == (1, 8, 8) and digits.train[0].max() == 255


def test_digits_are_split_alike_in_each_class():
    digits = load_images()
    for label in range(10):
        train, test = [int((split[1] == label).sum()) for split in (digits.train, digits.test)]
        assert test == (train + test) // 5


def test_digits_can_be_resized():
    whole, half, double = load_images("digits"), load_images("digits", size=4), load_images("digits", size=16)
    blocks = whole.train[0].double().unflatten(2, (4, 2)).unflatten(4, (4, 2)).mean((3, 5))
    assert half.train[0].shape[1:] == (1, 4, 4) and (half.train[0] - blocks).abs().max() <= 0.5
    assert double.test[0].shape[1:] == (1, 16, 16) and torch.equal(double.test[1], whole.test[1])


# --- sets in memory ---------------------------------------------------------------------------------------------

@pytest.mark.parametrize("column", ["img", "image"])
@pytest.mark.parametrize("test_file", ["test-00000-of-00001.parquet", "valid.parquet", "validation-0.parquet"])
def test_a_folder_is_read_pixel_by_pixel(tmp_path, monkeypatch, column, test_file):
    root = small_set(tmp_path / "data" / "flowers", test_file=test_file, column=column, classes=list("abcdefgh"))
    monkeypatch.setenv("SOBOLEV_DATA", str(root))
    flowers = load_images("flowers")
    assert (flowers.name, flowers.num_classes, flowers.source, flowers.encoding) == ("flowers", 8, "folder", "PNG")
    assert torch.equal(flowers.train[0], channels_first(TRAIN)) and flowers.train[1].tolist() == [0, 1, 2, 3, 4, 5]
    assert torch.equal(flowers.test[0], channels_first(TEST)) and flowers.test[1].tolist() == [0, 1, 2]
    assert str(tmp_path) not in repr(flowers)
    # Hugging Face keeps its copy in its own cache, and nothing is left beside the files
    assert (tmp_path / "cache").exists() and len(list(root.rglob("*"))) == 3


def test_several_files_are_read_in_order_wherever_they_lie(tmp_path):
    folder = small_set(tmp_path / "flowers") / "flowers"
    (folder / "train.parquet").unlink()
    for k in range(3):
        write(folder / "data" / f"train-{k}-of-3.parquet", TRAIN[2 * k:2 * k + 2], [2 * k, 2 * k + 1])
    (folder / "notes.parquet").write_bytes(b"not for us")
    flowers = load_images("flowers", folder=str(tmp_path))
    assert torch.equal(flowers.train[0], channels_first(TRAIN)) and flowers.train[1].tolist() == [0, 1, 2, 3, 4, 5]
    assert flowers.num_classes == 6, "as many as training meets"


def test_files_without_descriptions_of_their_columns_are_read_too(tmp_path):
    for split, pictures in (("train", TRAIN), ("test", TEST)):
        table = pyarrow.table({"img": [{"bytes": encoded(p), "path": "x.png"} for p in pictures],
                               "label": list(range(len(pictures)))})
        (tmp_path / "plain").mkdir(exist_ok=True)
        pyarrow.parquet.write_table(table, tmp_path / "plain" / f"{split}.parquet")
    assert torch.equal(load_images("plain", folder=tmp_path).train[0], channels_first(TRAIN))


def test_test_images_are_those_of_the_split_that_has_labels(tmp_path):
    """Of ImageNet that is the validation split; of any other set the test split."""
    for name in ("imagenet", "flowers"):
        folder = small_set(tmp_path / name, test_file="validation.parquet") / name
        write(folder / "test.parquet", TRAIN[:2], [0, 1])
    assert torch.equal(load_images("imagenet", folder=tmp_path).test[0], channels_first(TEST))
    assert torch.equal(load_images("flowers", folder=tmp_path).test[0], channels_first(TRAIN[:2]))
    assert load_images("imagenet", folder=tmp_path).num_classes == 1000, "integers: as many as are known to be"


def test_argument_wins_over_environment_and_folder_over_hub(tmp_path, monkeypatch):
    small_set(tmp_path / "one" / "cifar10")
    small_set(tmp_path / "two" / "cifar10", train=TEST, test=TRAIN, train_labels=[0, 1, 2])
    monkeypatch.setenv("SOBOLEV_DATA", str(tmp_path / "two"))
    assert torch.equal(load_images("cifar10").train[0], channels_first(TEST))
    assert torch.equal(load_images("cifar10", folder=tmp_path / "one").train[0], channels_first(TRAIN))


def hub(monkeypatch, tmp_path, column="img"):
    """A hub with small sets; returns the list of what it was asked for."""
    asked = []

    def load(repository, *, split):
        asked.append((repository, split))
        pictures = TRAIN if split == "train" else TEST
        write(tmp_path / f"{split}.parquet", pictures, range(len(pictures)), column=column)
        return datasets.Dataset.from_parquet(str(tmp_path / f"{split}.parquet"), cache_dir=str(tmp_path / "cache"))

    monkeypatch.setattr(datasets, "load_dataset", load)
    return asked


@pytest.mark.parametrize("name, repository, test, classes", [
    ("cifar10", "uoft-cs/cifar10", "test", 10), ("imagenet", "ILSVRC/imagenet-1k", "validation", 1000)])
def test_sets_of_the_hub(tmp_path, monkeypatch, name, repository, test, classes):
    asked = hub(monkeypatch, tmp_path)
    monkeypatch.setenv("SOBOLEV_DATA", str(tmp_path / "elsewhere"))
    read = load_images(name)
    assert asked == [(repository, "train"), (repository, test)]
    assert read.source == "hub" and read.num_classes == classes
    assert torch.equal(read.train[0], channels_first(TRAIN)) and torch.equal(read.test[0], channels_first(TEST))


def test_mean_and_deviation_are_those_of_all_training_pixels(tmp_path):
    small_set(tmp_path / "flowers", train=[picture(seed=k) // (k + 1) for k in range(5)])
    flowers = load_images("flowers", folder=tmp_path)
    pixels = flowers.train[0].double() / 255
    torch.testing.assert_close(flowers.mean, pixels.mean((0, 2, 3)).float())
    torch.testing.assert_close(flowers.std, pixels.std((0, 2, 3), unbiased=False).float())
    # images of one's own
    own = Images("own", 6, (flowers.train[0][:2], flowers.train[1][:2]), flowers.test, "folder")
    torch.testing.assert_close(own.mean, pixels[:2].mean((0, 2, 3)).float())


def test_grey_images_have_three_channels_unless_the_whole_set_is_grey(tmp_path):
    grey = picture(seed=9, grey=True)
    small_set(tmp_path / "mixed", train=[TRAIN[0], grey], test=[TEST[0]])
    mixed = load_images("mixed", folder=tmp_path)
    assert torch.equal(mixed.train[0][1], torch.from_numpy(grey).expand(3, 8, 8))
    assert torch.equal(mixed.train[0][0], channels_first(TRAIN)[0])
    small_set(tmp_path / "grey", train=[grey, grey], test=[grey // 2])
    assert torch.equal(load_images("grey", folder=tmp_path).test[0], torch.from_numpy(grey // 2).expand(1, 1, 8, 8))
    # colour in one of the splits is colour in the set
    small_set(tmp_path / "late", train=[grey, grey], test=[TEST[0]])
    assert load_images("late", folder=tmp_path).train[0].shape == (2, 3, 8, 8)
    small_set(tmp_path / "early", train=[TRAIN[0], TRAIN[1]], test=[grey])
    assert torch.equal(load_images("early", folder=tmp_path).train[0], channels_first(TRAIN[:2]))


def test_images_are_resized_to_the_means_of_blocks(tmp_path):
    wide, tall = picture(8, 11, seed=1), picture(13, 8, seed=2)
    small_set(tmp_path / "uneven", train=[TRAIN[0], wide, tall])
    read = load_images("uneven", folder=tmp_path, size=4)
    for got, square in zip(read.train[0], (TRAIN[0], wide[:, 1:9], tall[2:10])):
        blocks = square.astype(float).reshape(4, 2, 4, 2, 3).mean((1, 3)).transpose(2, 0, 1)
        assert np.abs(got.numpy() - blocks).max() <= 0.5
    # where no whole blocks fit, a fine pattern becomes grey, not another pattern
    stripes = np.zeros((32, 32, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    small_set(tmp_path / "stripes", train=[stripes], test=[stripes])
    smooth = load_images("stripes", folder=tmp_path, size=6).train[0].double()
    assert (smooth - 127.5).abs().max() < 40


# --- errors in sets ---------------------------------------------------------------------------------------------

@pytest.mark.parametrize("changes, message", [
    (dict(train=[TRAIN[0], picture(8, 9)]), r"train image 1: expected 8 x 8 pixels like the first, got 8 x 9; size="),
    (dict(test=[picture(9, 9)]), r"test: expected images \(3, 8, 8\) as in training, got \(3, 9, 9\); size="),
    (dict(train=[TRAIN[0], b"no image"]), "train image 1: expected an image that Pillow can read"),
    (dict(train=[TRAIN[0], encoded(TRAIN[1])[:-40]]), "train image 1: expected an image that Pillow can read"),
    (dict(test=[picture(grey=True).astype(np.uint16)]), "test image 0: expected 8 bits a channel, got mode I"),
    (dict(test_labels=[0, 1, 6]), "x, test labels: expected 0 to 5, got 0 to 6"),
    (dict(train_labels=[0, 0, 1, 1, 2, -2]), "x, train labels: expected 0 to 2, got -2 to 2$"),
    (dict(test_labels=[-1, -1, -1]), "x, test labels: expected 0 to 5, got -1 to -1 .*kept secret"),
    (dict(test_labels=[-1, -1, -1], classes=list("abcdefg")), "x, test labels: expected 0 to 6, got -1 to -1"),
    (dict(column="pixels"), "x, train: expected columns img or image, and label, got pixels, label"),
], ids=["unequal", "unequal test", "no image", "cut short", "16 bits", "beyond", "negative", "secret", "named", "column"])
def test_sets_with_mistakes_are_refused(tmp_path, monkeypatch, changes, message):
    if changes.get("column") == "pixels":
        small_set(tmp_path / "x", column="image")
        for path in (tmp_path / "x").iterdir():
            table = pyarrow.parquet.read_table(path)
            pyarrow.parquet.write_table(table.rename_columns(["pixels", "label"]).replace_schema_metadata(None), path)
    else:
        small_set(tmp_path / "x", **changes)
    with pytest.raises(ValueError, match=message):
        load_images("x", folder=tmp_path)


@pytest.mark.parametrize("labels", [[0.0, 1.5], ["cat", "dog"], [0, None]], ids=str)
def test_labels_that_are_no_integers_are_refused(tmp_path, labels):
    (tmp_path / "x").mkdir()
    table = pyarrow.table({"image": [{"bytes": encoded(p), "path": None} for p in TRAIN[:2]], "label": labels})
    pyarrow.parquet.write_table(table, tmp_path / "x" / "train.parquet")
    with pytest.raises(ValueError, match="x, train labels: expected N >= 1 integers, got"):
        load_images("x", folder=tmp_path)


def test_a_folder_without_a_split_is_refused(tmp_path):
    write(tmp_path / "cifar10" / "train.parquet", TRAIN, range(6))
    with pytest.raises(FileNotFoundError, match=r"cifar10: expected test\*.parquet or valid\*.parquet, got train.parquet"):
        load_images("cifar10", folder=tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"empty: expected train\*.parquet, got no parquet files"):
        load_images("empty", folder=tmp_path)


def offline(*_, **__):
    raise ConnectionError("Couldn't reach the hub")


@pytest.mark.parametrize("read", [load_images, lambda name, **kwargs: image_stream(
    name, "train", batch_size=2, train=True, seed=0, **kwargs)], ids=["in memory", "stream"])
def test_a_set_that_is_nowhere_is_an_error_that_helps(tmp_path, monkeypatch, read):
    monkeypatch.setattr(datasets, "load_dataset", offline)
    with pytest.raises(FileNotFoundError) as caught:
        read("cifar10")
    message = str(caught.value)
    for part in ("SOBOLEV_DATA is not set", "asked for uoft-cs/cifar10, said ConnectionError: Couldn't reach the hub",
                 "set SOBOLEV_DATA (or pass folder=) to one in which cifar10/ holds train*.parquet and test*.parquet"):
        assert part in message, message
    assert "hf auth login" not in message and isinstance(caught.value.__cause__, ConnectionError)
    with pytest.raises(FileNotFoundError, match="hf auth login"):
        read("imagenet")
    with pytest.raises(FileNotFoundError) as caught:
        read("flowers", folder=tmp_path)
    message = str(caught.value)
    assert f"there is no folder {tmp_path / 'flowers'}" in message and "flowers/ holds train*.parquet" in message
    assert "asked only for cifar10 and imagenet" in message and "digits" in message and "said" not in message


@pytest.mark.parametrize("name", ["", "../x", "a/b", "/x", ".", None, 3], ids=repr)
def test_a_path_is_no_name(tmp_path, name):
    with pytest.raises(ValueError, match="name: expected the name of a set or of a folder in folder=, not a path"):
        load_images(name, folder=tmp_path)


@pytest.mark.parametrize("missing", ["datasets", "PIL"])
def test_a_missing_extra_is_named(tmp_path, monkeypatch, missing):
    small_set(tmp_path / "flowers")
    for module in [name for name in sys.modules if name.split(".")[0] == missing]:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=r'reading images needs datasets and Pillow: pip install "sobolev_lib\[images\]"'):
        load_images("flowers", folder=tmp_path)


@pytest.mark.parametrize("size", [0, -1, 8.0, True, "8"], ids=repr)
def test_a_size_that_is_none_is_refused(size):
    with pytest.raises(ValueError, match="size: expected a whole number, at least 1, got"):
        load_images("digits", size=size)


@pytest.mark.parametrize("change, error, message", [
    (lambda x, y: (x.float(), y), TypeError, "train: expected images of torch.uint8 .* got torch.float32 and torch.int64"),
    (lambda x, y: (x, y.int()), TypeError, "got torch.uint8 and torch.int32"),
    (lambda x, y: (x[0], y), ValueError, r"train: expected images \(N, C, H, W\) .* got \(3, 8, 8\) and \(6,\)"),
    (lambda x, y: (x, y[:5]), ValueError, r"got \(6, 3, 8, 8\) and \(5,\)"),
    (lambda x, y: (x, y.unsqueeze(1)), ValueError, r"got \(6, 3, 8, 8\) and \(6, 1\)"),
    (lambda x, y: (x[:0], y[:0]), ValueError, r"with N >= 1, got \(0, 3, 8, 8\)"),
    (lambda x, y: (x, y + 1), ValueError, "train labels: expected 0 to 5, got 1 to 6"),
])
def test_images_of_ones_own_are_checked(change, error, message):
    x, y = channels_first(TRAIN), torch.arange(6)
    with pytest.raises(error, match=message):
        Images("own", 6, change(x, y), (x, y), "folder")


# --- a stream ---------------------------------------------------------------------------------------------------

def position(height, width):
    """An image that tells where each pixel came from: red grows to the right, green downwards, blue is 200."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x, y, np.full_like(x, 200)], -1).astype(np.uint8)


@pytest.fixture
def imagenet(tmp_path):
    """A small folder in ImageNet's layout: two files for training, images of any size, one of them grey."""
    shapes = [(40, 60), (60, 40), (50, 50), (45, 80), (70, 41)]
    train = [position(*shapes[k % 5]) for k in range(22)] + [picture(50, 60, seed=1, grey=True)]
    for k in range(2):
        here = slice(12 * k, 12 * k + 12)
        write(tmp_path / "imagenet" / f"train-{k}-of-2.parquet", train[here], list(range(23))[here])
    test = [position(*shapes[k % 5]) for k in range(11)]
    write(tmp_path / "imagenet" / "validation-0-of-1.parquet", test, range(11))
    return tmp_path


def stream(folder, split="train", **kwargs):
    defaults = dict(size=16, batch_size=4, train=split == "train", seed=0, folder=folder)
    return image_stream("imagenet", split, **defaults | kwargs)


def labels_of(batches):
    return [labels.tolist() for _, labels in batches]


def test_a_stream_yields_batches_of_decoded_images(imagenet):
    state = torch.get_rng_state()
    batches = stream(imagenet)
    assert len(batches) == 5 and batches.dataset.num_classes == 1000
    seen = []
    for pixels, labels in batches:
        assert pixels.dtype == torch.uint8 and pixels.shape == (4, 3, 16, 16)
        assert labels.dtype == torch.int64 and labels.shape == (4,)
        for image, label in zip(pixels, labels.tolist()):
            if label == 22:
                assert torch.equal(image[0], image[1]) and torch.equal(image[0], image[2]) and image.unique().numel() > 50
            else:
                assert (image[2] == 200).all()
        seen += labels.tolist()
    assert len(set(seen)) == 20, "no image twice; what fills no batch is left out"
    assert torch.equal(torch.get_rng_state(), state), "the global generator was used"


def test_ranks_share_an_epoch_in_batches_of_one_size(imagenet):
    ranks = [stream(imagenet, batch_size=3, rank=rank, world=3) for rank in range(3)]
    assert [len(batches) for batches in ranks] == [2, 2, 2]
    seen = [label for batches in ranks for labels in labels_of(batches) for label in labels]
    assert len(seen) == len(set(seen)) == 18
    # what all ranks do together is what one does with batches three times as large
    whole = labels_of(stream(imagenet, batch_size=9))
    assert [sum(parts, []) for parts in zip(*map(labels_of, ranks))] == whole


def equal(first, second):
    return len(first) == len(second) and all(torch.equal(a, b) for x, y in zip(first, second) for a, b in zip(x, y))


def test_order_and_crops_depend_on_seed_and_epoch(imagenet):
    first = list(stream(imagenet))
    assert equal(first, list(stream(imagenet)))
    orders = {str(labels_of(stream(imagenet, seed=seed, epoch=epoch))) for seed, epoch in [(0, 0), (1, 0), (0, 1), (1, 1)]}
    assert len(orders) == 4
    # and so do the crops of each image
    whole = [next(iter(stream(imagenet, batch_size=23, epoch=epoch))) for epoch in range(2)]
    images = [pixels[labels.argsort()] for pixels, labels in whole]
    assert (images[0] != images[1]).flatten(1).any(1).all()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_processes_that_decode_change_nothing(imagenet):
    assert equal(list(stream(imagenet)), list(stream(imagenet, workers=2)))


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_stream_resumes_without_decoding_what_it_skips(imagenet, monkeypatch, split):
    whole = list(stream(imagenet, split, batch_size=2))
    decoded = []
    monkeypatch.setattr(images, "read_image", lambda *args: decoded.append(args) or image_files.read_image(*args))
    rest = stream(imagenet, split, batch_size=2, start_batch=3)
    assert len(rest) == len(whole) - 3 and equal(list(rest), whole[3:])
    assert len(decoded) == sum(len(labels) for _, labels in whole[3:])
    assert list(stream(imagenet, split, batch_size=2, start_batch=len(whole))) == []
    with pytest.raises(ValueError, match=f"start_batch: expected 0 to {len(whole)}, the number of batches, got"):
        stream(imagenet, split, batch_size=2, start_batch=len(whole) + 1)


@pytest.mark.parametrize("world, batch_size", [(1, 4), (1, 64), (2, 2), (3, 2), (4, 5), (11, 1)])
def test_testing_meets_every_image_once_and_as_many_batches_on_every_rank(imagenet, world, batch_size):
    ranks = [labels_of(stream(imagenet, "test", batch_size=batch_size, rank=rank, world=world)) for rank in range(world)]
    assert len({len(batches) for batches in ranks}) == 1
    sizes = {len(batch) for batches in ranks for batch in batches}
    assert max(sizes) <= batch_size and max(sizes) - min(sizes) <= 1 and min(sizes) >= 1
    assert sorted(label for batches in ranks for batch in batches for label in batch) == list(range(11))
    if world == 1:
        assert sum(ranks[0], []) == list(range(11)), "not shuffled"


def test_testing_resizes_the_shorter_side_and_crops_the_centre(imagenet):
    noisy = [np.asarray(PIL.Image.fromarray(picture(6, 9, seed=k)).resize((96, 64), PIL.Image.Resampling.BICUBIC))
             for k in range(2)]
    write(imagenet / "imagenet" / "validation-0-of-1.parquet", [noisy[0], noisy[1].swapaxes(0, 1)], [0, 1])
    (pixels, _), = stream(imagenet, "test", size=28)
    for got, image in zip(pixels, (noisy[0], noisy[1].swapaxes(0, 1))):
        # in two steps: 28 * 256 / 224 = 32, then the central 28
        small = PIL.Image.fromarray(np.ascontiguousarray(image))
        small = small.resize((48, 32) if image.shape[1] == 96 else (32, 48), PIL.Image.Resampling.BILINEAR)
        left, top = (small.width - 28) // 2, (small.height - 28) // 2
        expected = np.asarray(small.crop((left, top, left + 28, top + 28))).transpose(2, 0, 1)
        assert np.abs(got.numpy().astype(int) - expected).max() <= 1


def crop_of(image, size):
    """Left, top, width, height and flip of a crop of ``position``, from its colours; right to a pixel or so."""
    red, green = image[0].double(), image[1].double()
    across, down = (red[:, -2] - red[:, 1]).mean() / (size - 3), (green[-2] - green[1]).mean() / (size - 3)
    flipped = bool(across < 0)
    edge = red[:, -2] if flipped else red[:, 1]
    return (edge.mean() - 1.5 * abs(across) + 0.5, green[1].mean() - 1.5 * down + 0.5, abs(across) * size, down * size,
            flipped)


def test_training_crops_are_of_random_size_shape_and_place(tmp_path):
    height, width = 120, 160
    write(tmp_path / "imagenet" / "train.parquet", [position(height, width)] * 250, [0] * 250)
    (pixels, _), = stream(tmp_path, batch_size=250, size=24)
    left, top, w, h, flipped = np.array([[float(value) for value in crop_of(image, 24)] for image in pixels]).T
    area, ratio = w * h / (height * width), np.log(w / h)
    assert area.min() > 0.07 and area.max() < 1.02 and area.min() < 0.12 and area.max() > 0.85
    assert np.abs(ratio).max() < math.log(4 / 3) + 0.05 and ratio.min() < -0.2 and ratio.max() > 0.2
    assert abs(np.median(ratio)) < 0.08 and 0.35 < np.median(area) < 0.6
    assert abs(flipped.mean() - 0.5) < 0.16
    assert left.min() > -1.5 and top.min() > -1.5 and (left + w).max() < width + 1.5 and (top + h).max() < height + 1.5
    # anywhere: small pieces reach all four edges
    small = area < 0.4
    assert left[small].min() < 15 and top[small].min() < 15
    assert (left + w)[small].max() > width - 15 and (top + h)[small].max() > height - 15


@pytest.mark.parametrize("shape, expected", [((24, 200), (84, 0, 32, 24)), ((200, 24), (0, 84, 24, 32))], ids=str)
def test_of_an_image_too_long_the_centre_is_taken(monkeypatch, shape, expected):
    monkeypatch.setattr(image_files, "AREA", (0.9, 1.0))   # no piece of that area is so long
    crop = image_files.random_piece(PIL.Image.fromarray(position(*shape)), 8, np.random.default_rng(0))
    left, top, w, h, _ = crop_of(torch.from_numpy(crop.transpose(2, 0, 1).copy()), 8)
    assert (abs(torch.tensor([left, top, w, h]) - torch.tensor(expected)) < 1).all()


def test_a_file_that_is_no_image_is_named(imagenet):
    write(imagenet / "imagenet" / "validation-0-of-1.parquet", [TEST[0], b"no image", TEST[2]], [0, 1, 2])
    with pytest.raises(ValueError, match="test image 1: expected an image that Pillow can read"):
        list(stream(imagenet, "test"))


@pytest.mark.parametrize("kwargs, message", [
    (dict(split="valid"), "split: expected 'train' or 'test', got 'valid'"),
    (dict(batch_size=0), "batch_size: expected a whole number, at least 1, got 0"),
    (dict(size=16.0), "size: expected a whole number, at least 1, got 16.0"), (dict(seed=-1), "seed: .*got -1"),
    (dict(epoch=None), "epoch: .*got None"), (dict(workers=-1), "workers: .*got -1"), (dict(world=0), "world: .*got 0"),
    (dict(start_batch=-1), "start_batch: .*got -1"), (dict(rank=2, world=2), "rank: expected 0 to 1 in a world of 2, got 2"),
    (dict(batch_size=12, world=2), "imagenet, train: expected at least 24 images for 2 ranks with batch_size 12, got 23"),
    (dict(split="test", world=12), "imagenet, test: expected at least 12 images for 12 ranks with batch_size 4, got 11"),
], ids=str)
def test_arguments_of_a_stream_are_checked(imagenet, kwargs, message):
    with pytest.raises(ValueError, match=message):
        stream(imagenet, **kwargs)


def test_labels_of_a_stream_are_checked_before_anything_is_decoded(imagenet, monkeypatch):
    write(imagenet / "imagenet" / "train-1-of-2.parquet", TRAIN[:1], [1000])
    monkeypatch.setattr(images, "read_image", None)
    with pytest.raises(ValueError, match="imagenet, train labels: expected 0 to 999, got 0 to 1000"):
        stream(imagenet)


def test_a_set_is_opened_once(imagenet, monkeypatch):
    opened = []
    load = datasets.load_dataset
    monkeypatch.setattr(datasets, "load_dataset", lambda *args, **kwargs: opened.append(1) or load(*args, **kwargs))
    for epoch in range(3):
        stream(imagenet, epoch=epoch)
    assert len(opened) == 1


# --- augmentation -----------------------------------------------------------------------------------------------

def moved(image, pad, down, right, flip):
    """One image, by hand: zeros around it, a window of the old size, mirrored or not."""
    _, height, width = image.shape
    framed = torch.zeros(image.shape[0], height + 2 * pad, width + 2 * pad, dtype=image.dtype)
    framed[:, pad:pad + height, pad:pad + width] = image
    window = framed[:, down:down + height, right:right + width]
    return window.flip(2) if flip else window


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.bfloat16])
def test_every_image_has_its_own_shift_and_flip(dtype):
    x = torch.randint(1, 200, (300, 3, 5, 7), dtype=torch.uint8, generator=seeded(0)).to(dtype)
    before = x.clone()
    y = augment(x, seeded(1), pad=2)
    assert y.shape == x.shape and y.dtype == dtype and torch.equal(x, before)
    moves = [(down, right, flip) for down in range(5) for right in range(5) for flip in (False, True)]
    counts = dict.fromkeys(moves, 0)
    for image, result in zip(x, y):
        fits = [move for move in moves if torch.equal(moved(image, 2, *move), result)]
        assert len(fits) == 1, "not one of the moves"
        counts[fits[0]] += 1
    # 300 images, 50 moves: shifts and flips are all as frequent as each other
    for part, kinds in ((0, 5), (1, 5), (2, 2)):
        shares = [sum(n for move, n in counts.items() if move[part] == kind) / 300 for kind in range(kinds)]
        assert max(abs(share - 1 / kinds) for share in shares) < 4 * math.sqrt((1 / kinds) * (1 - 1 / kinds) / 300)
    assert sum(n > 0 for n in counts.values()) > 45, "shifts and flips are not drawn apart"


def test_augmentation_is_repeatable_and_leaves_the_global_generator_alone():
    x, state = torch.randint(256, (20, 1, 8, 8), dtype=torch.uint8, generator=seeded(0)), torch.get_rng_state()
    generator = seeded(3)
    first, second = augment(x, generator), augment(x, generator)
    assert torch.equal(first, augment(x, seeded(3))) and not torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), state)


def test_parts_of_the_augmentation_can_be_left_out():
    x = torch.randint(1, 256, (40, 3, 6, 6), dtype=torch.uint8, generator=seeded(0))
    assert torch.equal(augment(x, seeded(0), pad=0, flip=False), x)
    flipped = (augment(x, seeded(0), pad=0) == x.flip(3)).flatten(1).all(1)
    assert 8 < flipped.sum() < 32
    shifted = augment(x, seeded(0), pad=1, flip=False)
    assert all(any(torch.equal(moved(a, 1, i, j, False), b) for i in range(3) for j in range(3)) for a, b in zip(x, shifted))
    assert augment(x[:0], seeded(0)).shape == (0, 3, 6, 6)


@pytest.mark.parametrize("call, error, message", [
    (lambda x: augment(x, None), TypeError, "generator: expected a torch.Generator, got NoneType"),
    (lambda x: augment(x, 0), TypeError, "generator: expected a torch.Generator, got int"),
    (lambda x: augment(x[0], seeded(0)), ValueError, r"images: expected shape \(N, C, H, W\), got \(3, 8, 8\)"),
    (lambda x: augment(x, seeded(0), pad=-1), ValueError, "pad: expected a whole number, at least 0, got -1"),
    (lambda x: normalize(x.float(), [0.5] * 3, [0.2] * 3), TypeError, "images: expected torch.uint8, got torch.float32"),
    (lambda x: normalize(x[0], [0.5] * 3, [0.2] * 3), ValueError, r"images: expected shape \(N, C, H, W\)"),
    (lambda x: normalize(x, [0.5], [0.2] * 3), ValueError, r"mean: expected one number .* 3 channels, got shape \(1,\)"),
    (lambda x: normalize(x, [0.5] * 3, 0.2), ValueError, r"std: expected one number .* 3 channels, got shape \(\)"),
    (lambda x: normalize(x, [0.5] * 3, [0.2, 0, 1]), ValueError, "std: expected positive numbers, got"),
])
def test_arguments_of_augmentation_and_normalisation_are_checked(call, error, message):
    with pytest.raises(error, match=message):
        call(channels_first(TRAIN))


def test_normalised_pixels_have_mean_zero_and_deviation_one(tmp_path):
    small_set(tmp_path / "flowers", train=[picture(seed=k) // (k + 1) for k in range(5)])
    flowers = load_images("flowers", folder=tmp_path)
    pixels = flowers.train[0].clone()
    x = normalize(flowers.train[0], flowers.mean, flowers.std)
    assert x.dtype == torch.float32 and x.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(x.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(x.std((0, 2, 3), unbiased=False), torch.ones(3))
    assert torch.equal(flowers.train[0], pixels), "the images themselves were changed"
    y = normalize(torch.full((2, 2, 4, 4), 51, dtype=torch.uint8), [0.1, 0.2], (0.5, 0.25))
    torch.testing.assert_close(y, torch.tensor([0.2, 0.0])[:, None, None].expand(2, 2, 4, 4))
