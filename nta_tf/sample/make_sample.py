"""Makes `mnist.npz`: 400 training and 100 test digits of each class, chosen by a seed.

    python nta_tf/sample/make_sample.py --data-dir DIRECTORY [--out FILE]

DIRECTORY is where TensorFlow Datasets has prepared MNIST. The same MNIST and seed give the same
arrays.
"""

import argparse
import pathlib

import numpy as np

SEED = 2017
PER_CLASS = {"train": 400, "test": 100}


def choose(labels, per_class, generator):
    """Indices of a balanced sample without replacement, in shuffled order.

    Args:
        labels: Integer labels 0 to 9, (D,).
        per_class: How many of each class.
        generator: `numpy.random.Generator`.

    Returns:
        Integer indices into `labels`, (10 * per_class,).
    """
    chosen = [
        generator.choice(np.flatnonzero(labels == digit), per_class, replace=False)
        for digit in range(10)
    ]
    return generator.permutation(np.concatenate(chosen))


def make(data_dir):
    """The arrays of the sample.

    Args:
        data_dir: Where TensorFlow Datasets has prepared MNIST.

    Returns:
        A dictionary of uint8 arrays: `x_train` (4000, 28, 28), `y_train` (4000,), `x_test`
        (1000, 28, 28), `y_test` (1000,).
    """
    import tensorflow_datasets as tfds

    arrays = {}
    for index, (split, per_class) in enumerate(PER_CLASS.items()):
        whole = tfds.as_numpy(
            tfds.load("mnist", split=split, data_dir=data_dir, download=False, batch_size=-1)
        )
        generator = np.random.default_rng([SEED, index])
        indices = choose(whole["label"], per_class, generator)
        arrays[f"x_{split}"] = whole["image"][indices, :, :, 0]
        arrays[f"y_{split}"] = whole["label"][indices].astype(np.uint8)
    return arrays


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", help="where TensorFlow Datasets has prepared MNIST")
    default = pathlib.Path(__file__).with_name("mnist.npz")
    parser.add_argument("--out", type=pathlib.Path, default=default, help="file to write")
    options = parser.parse_args()
    np.savez_compressed(options.out, **make(options.data_dir))


if __name__ == "__main__":
    main()
