"""The shipped sample, the prepared datasets, and what happens when there is none."""

import importlib.util
import pathlib
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from nta_tf import data

SAMPLE = pathlib.Path(data.__file__).with_name("sample")


@pytest.fixture
def no_network(monkeypatch):
    """Any attempt to reach another machine fails the test by an error that is its own."""

    def refuse(*arguments, **_):
        raise AssertionError(f"the network was contacted: {arguments[:2]}")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def offline(monkeypatch):
    """No name can be resolved, as on a machine without network."""

    def fail(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", fail)


@pytest.mark.parametrize("split,count", [("train", 4000), ("test", 1000)])
def test_sample_is_balanced_and_in_range(split, count):
    digits = data.load("sample", split)
    assert digits.x.shape == (count, 28, 28, 1) and digits.x.dtype == np.float32
    assert digits.y.shape == (count,) and digits.y.dtype == np.int32
    assert digits.x.min() == 0 and digits.x.max() == 1
    np.testing.assert_array_equal(np.bincount(digits.y), np.full(10, count // 10))
    assert (digits.name, digits.split) == ("sample", split)


def test_sample_is_shuffled_and_without_repetition(sample):
    assert len(np.unique(sample.x.reshape(4000, -1), axis=0)) == 4000
    assert len(np.unique(sample.y[:100])) == 10


def test_sample_looks_like_mnist(sample):
    """Mean 0.1307 and standard deviation 0.3081 are known for the whole of MNIST."""
    assert abs(sample.x.mean() - 0.1307) < 0.003
    assert abs(sample.x.std() - 0.3081) < 0.003
    ones, zeros = (sample.x[sample.y == digit].mean() for digit in (1, 0))
    assert ones < 0.6 * zeros


def test_sample_is_small_enough_to_ship():
    assert (SAMPLE / "mnist.npz").stat().st_size < 1_500_000


@pytest.mark.slow  # reads all of MNIST
def test_sample_is_what_its_script_makes(shared_data):
    specification = importlib.util.spec_from_file_location("make_sample", SAMPLE / "make_sample.py")
    script = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(script)
    made = script.make(str(shared_data / "tfds"))
    with np.load(SAMPLE / "mnist.npz") as shipped:
        assert set(shipped) == set(made)
        for name, array in made.items():
            assert shipped[name].dtype == np.uint8
            np.testing.assert_array_equal(shipped[name], array)


def test_scalings_agree_with_their_definitions(sample):
    pixels = np.rint(sample.x * 255.0)
    np.testing.assert_array_equal(sample.x, (pixels / 255.0).astype(np.float32))
    signed = data.load("sample", scaling="signed").x
    np.testing.assert_allclose(signed, pixels / 127.5 - 1, atol=1e-7)
    assert (signed.min(), signed.max()) == (-1, 1)


def test_standard_scaling_uses_the_training_split_for_both_splits(sample):
    mean, deviation = sample.x.mean(dtype=np.float64), sample.x.std(dtype=np.float64)
    train = data.load("sample", scaling="standard").x
    assert train.dtype == np.float32
    assert abs(train.mean(dtype=np.float64)) < 1e-6
    assert abs(train.std(dtype=np.float64) - 1) < 1e-6
    test = data.load("sample", "test", scaling="standard").x
    expected = (data.load("sample", "test").x - mean) / deviation
    np.testing.assert_allclose(test, expected, atol=1e-5)
    assert abs(test.mean()) > 1e-4


@pytest.mark.parametrize(
    "arguments,message",
    [
        ({"name": "minst"}, "'sample', 'mnist', 'cifar10'. Received: name='minst'$"),
        ({"split": "valid"}, "'train', 'test'. Received: split='valid'$"),
        ({"scaling": "z"}, "'unit', 'signed', 'standard'. Received: scaling='z'$"),
    ],
)
def test_wrong_arguments_say_what_would_be_right(arguments, message):
    with pytest.raises(ValueError, match=message):
        data.load(**{"name": "sample", **arguments})


@pytest.mark.slow
@pytest.mark.parametrize("name,split", [("mnist", "test"), ("cifar10", "test")])
def test_prepared_data_equal_those_of_tfds(name, split, shared_data, no_network):
    import tensorflow_datasets as tfds

    directory = str(shared_data / "tfds")
    ours = data.load(name, split, directory)
    read_config = tfds.ReadConfig(interleave_cycle_length=1)
    theirs = tfds.load(
        name,
        split=split,
        data_dir=directory,
        batch_size=-1,
        download=False,
        read_config=read_config,
    )
    np.testing.assert_array_equal(ours.y, theirs["label"])
    np.testing.assert_array_equal(np.rint(ours.x * 255), theirs["image"])
    again = data.load(name, split, directory)
    np.testing.assert_array_equal(ours.x, again.x)


@pytest.mark.parametrize(
    "directory,name,split,source",
    [
        pytest.param("tfds", "mnist", "train", "MNIST, 60,000 digits", marks=pytest.mark.slow),
        ("tfds", "mnist", "test", "MNIST, 10,000 test digits"),
        pytest.param(
            *("tfds", "cifar10", "test", "CIFAR-10, 10,000 test images, JPEG-compressed copies"),
            marks=pytest.mark.slow,
        ),
        ("tfds_lossless_subset", "cifar10", "train", "CIFAR-10, 5,085 of 50,000 images"),
        ("tfds_lossless_subset", "cifar10", "test", "CIFAR-10, 1,017 of 10,000 test images"),
    ],
)
def test_captions_say_how_many_and_whether_compressed(
    directory, name, split, source, shared_data, no_network
):
    dataset = data.load(name, split, shared_data / directory)
    assert dataset.source == source
    assert dataset.x.shape[1:] == {"mnist": (28, 28, 1), "cifar10": (32, 32, 3)}[name]
    assert set(np.unique(dataset.y)) == set(range(10))


@pytest.mark.slow  # a second process imports TensorFlow
def test_the_environment_variable_names_the_directory(shared_data):
    """In a process of its own: TFDS reads the variable when it is imported."""
    program = "import nta_tf; print(nta_tf.data.load('mnist', 'test').x.shape)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=pathlib.Path(data.__file__).parent.parent,
        env={"TFDS_DATA_DIR": str(shared_data / "tfds"), "TF_CPP_MIN_LOG_LEVEL": "2"},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "(10000, 28, 28, 1)", done.stderr[-2000:]


def test_partly_compressed_datasets_say_so():
    records = data._Records(np.zeros((50000, 1), np.uint8), np.zeros(50000), jpeg=7)
    expected = "CIFAR-10, 50,000 images, 7 of them JPEG-compressed copies"
    assert data._source("cifar10", "train", records) == expected


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_missing_data_fail_fast_and_clearly(name, tmp_path, offline):
    started = time.monotonic()
    with pytest.raises(data.DatasetNotFoundError) as caught:
        data.load(name, data_dir=tmp_path)
    assert time.monotonic() - started < 30
    message = str(caught.value)
    assert "\n" not in message
    for part in (repr(name), str(tmp_path / name), "TFDS_DATA_DIR", "data_dir", "'sample'"):
        assert part in message
    assert "Name or service not known" in repr(caught.value.__cause__)
    assert list(tmp_path.iterdir()) == []


def test_damaged_data_are_refused(shared_data, tmp_path):
    source = shared_data / "tfds" / "mnist" / "3.0.1"
    copy = tmp_path / "mnist" / "3.0.1"
    copy.mkdir(parents=True)
    for file in source.iterdir():
        content = file.read_bytes()
        (copy / file.name).write_bytes(content[:100_000])
    with pytest.raises(OSError, match=f"{copy} cannot be read"):
        data.load("mnist", "test", tmp_path)
