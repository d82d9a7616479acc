"""The datasets of the paper, and a small one that is shipped with the package."""

import importlib.resources
from typing import NamedTuple

import numpy as np

from nta_tf._types import PathLike

_SPLITS = ("train", "test")
SCALINGS = ("unit", "signed", "standard")
_PROBE_SECONDS = 10
_JPEG_MAGIC = b"\xff\xd8\xff"
_CHUNK = 1000


class Dataset(NamedTuple):
    """Images and labels in memory, in an order that is always the same.

    Attributes:
        x: float32 images, (D, 28, 28, 1) or (D, 32, 32, 3).
        y: int32 labels, (D,).
        name: `"sample"`, `"mnist"` or `"cifar10"`.
        split: `"train"` or `"test"`.
        source: One phrase for figure captions, such as `"MNIST, 60,000 digits"`.
    """

    x: np.ndarray
    y: np.ndarray
    name: str
    split: str
    source: str


class DatasetNotFoundError(FileNotFoundError):
    """A dataset is neither prepared on this machine nor could it be downloaded."""


class _Records(NamedTuple):
    images: np.ndarray  # uint8
    labels: np.ndarray
    jpeg: int  # how many of the images were stored as JPEG


class _Kind(NamedTuple):
    title: str
    noun: str
    sizes: dict  # of the complete dataset, so that a subset is called one


_KINDS = {
    "sample": _Kind("shipped MNIST sample", "digits", {"train": 4000, "test": 1000}),
    "mnist": _Kind("MNIST", "digits", {"train": 60000, "test": 10000}),
    "cifar10": _Kind("CIFAR-10", "images", {"train": 50000, "test": 10000}),
}


def load(
    name: str, split: str = "train", data_dir: PathLike | None = None, scaling: str = "unit"
) -> Dataset:
    """Loads a dataset into memory.

    The data of the paper's experiments (section 2.4 and appendix A5). Nothing touches the network
    if the dataset is shipped or already prepared by TensorFlow Datasets; otherwise TensorFlow
    Datasets downloads it.

    Args:
        name: `"mnist"` or `"cifar10"` through TensorFlow Datasets, or `"sample"`, the 4,000 + 1,000
            digits of MNIST that are shipped with this package.
        split: `"train"` or `"test"`.
        data_dir: Where TensorFlow Datasets keeps its datasets. `None` leaves it to that library:
            the environment variable `TFDS_DATA_DIR`, or `~/tensorflow_datasets`. The sample
            does not use it.
        scaling: `"unit"` for pixels in [0, 1], `"signed"` for [-1, 1], or `"standard"` for mean 0
            and standard deviation 1, where one mean and one standard deviation are taken over all
            pixels and channels of the training split, whichever split is loaded.

    Returns:
        A `Dataset` of D examples: `x` float32 of shape (D, 28, 28, 1) or (D, 32, 32, 3), `y` int32
        of shape (D,), `name`, `split` and `source`, which says so if the images are JPEG copies.

    Raises:
        ValueError: If `name`, `split` or `scaling` is none of the above.
        DatasetNotFoundError: If the dataset is not prepared and cannot be downloaded.
        OSError: If the dataset is prepared but its files cannot be read.

    Example:

    >>> import nta_tf as nta
    >>> digits = nta.data.load("sample", split="test")
    >>> digits.x.shape, digits.y.shape, digits.source
    ((1000, 28, 28, 1), (1000,), 'shipped MNIST sample, 1,000 test digits')
    """
    _check_choice("name", name, tuple(_KINDS))
    _check_choice("split", split, _SPLITS)
    _check_choice("scaling", scaling, SCALINGS)
    records = _read(name, split, data_dir)
    if scaling == "standard":
        training = records if split == "train" else _read(name, "train", data_dir)
        offset, divisor = _mean_and_deviation(training.images)
    else:
        offset, divisor = {"unit": (0.0, 255.0), "signed": (127.5, 127.5)}[scaling]
    x = records.images.astype(np.float32)
    x -= np.float32(offset)
    x /= np.float32(divisor)
    return Dataset(x, records.labels.astype(np.int32), name, split, _source(name, split, records))


def _check_choice(argument, value, choices):
    if value not in choices:
        raise ValueError(
            f"The {argument} of a dataset must be one of {', '.join(map(repr, choices))}. "
            f"Received: {argument}={value!r}"
        )


def _read(name, split, data_dir):
    if name == "sample":
        return _read_sample(split)
    return _read_prepared(_prepared_builder(name, data_dir), split)


def _read_sample(split):
    path = importlib.resources.files("nta_tf") / "sample" / "mnist.npz"
    with path.open("rb") as file, np.load(file) as arrays:
        return _Records(arrays[f"x_{split}"][..., np.newaxis], arrays[f"y_{split}"], jpeg=0)


def _mean_and_deviation(images):
    """Mean and standard deviation of uint8 images, exact up to one rounding each."""
    counts = np.zeros(256, np.int64)
    for start in range(0, len(images), _CHUNK):  # bincount widens its input to 64 bits
        counts += np.bincount(images[start : start + _CHUNK].ravel(), minlength=256)
    values = np.arange(256)
    mean = counts @ values / counts.sum()
    return mean, np.sqrt(counts @ (values - mean) ** 2 / counts.sum())


def _source(name, split, records):
    title, noun, sizes = _KINDS[name]
    count = f"{len(records.images):,}"
    if len(records.images) != sizes[split]:
        count += f" of {sizes[split]:,}"
    if split == "test":
        noun = f"test {noun}"
    if records.jpeg == len(records.images):
        return f"{title}, {count} {noun}, JPEG-compressed copies"
    if records.jpeg:
        return f"{title}, {count} {noun}, {records.jpeg:,} of them JPEG-compressed copies"
    return f"{title}, {count} {noun}"


def _prepared_builder(name, data_dir):
    """The TFDS builder of a dataset that is prepared, after a download if need be."""
    # Imported here because it takes long, and the sample does not need it.
    import tensorflow_datasets as tfds

    builder = tfds.builder(name, data_dir=data_dir)
    if builder.is_prepared():
        return builder
    try:
        _probe(next(iter(builder.url_infos)))
        builder.download_and_prepare()
    except Exception as error:  # TFDS documents no common class for what may go wrong
        raise DatasetNotFoundError(
            f"The dataset {name!r} is not prepared in {builder.data_path} and its download failed "
            f"({_first_line(error)}): set TFDS_DATA_DIR or pass data_dir with a directory where "
            "TensorFlow Datasets has prepared it, connect to the internet, or use the shipped "
            f"'sample'. Received: name={name!r}, data_dir={data_dir!r}"
        ) from error
    return builder


def _probe(url):
    """Raises within seconds if `url` cannot be reached; TFDS would keep trying for minutes."""
    import requests

    requests.head(url, timeout=_PROBE_SECONDS)


def _first_line(error):
    lines = str(error).splitlines() or [""]
    line = lines[0] if len(lines[0]) <= 120 else lines[0][:117] + "..."
    return f"{type(error).__name__}: {line}"


def _read_prepared(builder, split):
    import tensorflow as tf

    try:
        return _decode_all(builder, split)
    except tf.errors.OpError as error:
        raise OSError(
            f"The prepared dataset in {builder.data_path} cannot be read; remove that directory "
            f"and prepare it again. Received: split={split!r}, {_first_line(error)}"
        ) from error


def _decode_all(builder, split):
    """Decodes the stored images ourselves, to see how each of them was encoded."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    stored = builder.as_dataset(
        split=split,
        shuffle_files=False,
        decoders={"image": tfds.decode.SkipDecoding()},
        # One file after the other: the order must not depend on timing or defaults.
        read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),
    )
    feature = builder.info.features["image"]

    def decode(record):
        is_jpeg = tf.strings.substr(record["image"], 0, len(_JPEG_MAGIC)) == _JPEG_MAGIC
        return feature.decode_example(record["image"]), record["label"], is_jpeg

    batches = stored.map(decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    images, labels, is_jpeg = zip(*batches.batch(_CHUNK).as_numpy_iterator())
    jpeg = int(np.concatenate(is_jpeg).sum())
    return _Records(np.concatenate(images), np.concatenate(labels), jpeg)
