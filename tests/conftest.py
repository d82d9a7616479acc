"""Settings that must be made before TensorFlow and NumPy are imported, and shared fixtures."""

import gc
import os

# Unpinned BLAS threads make small factorizations up to a hundred times slower on small machines.
for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
# TensorFlow's threads of one process would wait, busily, for cores that another one has.
_share = (os.cpu_count() or 1) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
for _variable in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ.setdefault(_variable, str(max(1, _share)))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("MPLBACKEND", "Agg")

import pathlib

import numpy as np
import pytest
import tensorflow as tf

# TensorFloat-32 keeps ten bits of the mantissa: too few for Jacobians and Gram matrices.
tf.config.experimental.enable_tensor_float_32_execution(False)

# Tracing makes millions of objects that live: looking through them again and again, and through
# those of TensorFlow itself, takes a tenth of the suite's time.
gc.collect()
gc.freeze()
gc.set_threshold(200_000, 20, 100)

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def sample():
    """The training split of the shipped digits, x (4000, 28, 28, 1) in [0, 1], y (4000,)."""
    from nta_tf import data

    return data.load("sample")


@pytest.fixture
def seed(request):
    """A fixed seed, or that of `NTA_TF_TEST_SEED`; pytest shows it when the test fails."""
    value = int(os.environ.get("NTA_TF_TEST_SEED", "20170806"))
    print(f"{request.node.name}: seed {value} (repeat with NTA_TF_TEST_SEED={value})")
    return value


@pytest.fixture
def rng(seed):
    """A NumPy generator made from `seed`."""
    return np.random.default_rng(seed)


@pytest.fixture(scope="session")
def shared_data():
    """The directory of datasets prepared for offline use; without it, tests that need it skip."""
    default = _REPOSITORY.parent / "shared" / "data"
    directory = pathlib.Path(os.environ.get("NTA_TF_SHARED_DATA", default))
    if not (directory / "tfds").is_dir():
        pytest.skip(f"no prepared datasets in {directory} (set NTA_TF_SHARED_DATA)")
    return directory


# What `make check` runs: the tests of these files, which train nothing.
_QUICK = {
    "test_closed_form",
    "test_grams",
    "test_growth",
    "test_protocol",
    "test_schedules",
    "test_solvers_maps",
    "test_statistics",
    "test_tables",
    "test_types",
}


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.stem in _QUICK:
            item.add_marker(pytest.mark.quick)
    if tf.config.list_physical_devices("GPU"):
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="no GPU is visible to TensorFlow"))
