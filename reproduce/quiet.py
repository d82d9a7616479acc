"""TensorFlow without its start-up noise."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator


def import_tensorflow(verbose: bool = False) -> None:
    """Imports TensorFlow and finds its devices, silently unless asked otherwise.

    With oneDNN, which TensorFlow leaves off on processors without AVX-512 unless
    `TF_ENABLE_ONEDNN_OPTS` says otherwise: a step of the convnet takes half the time with it.

    What it writes about libraries and drivers it writes past Python, to the file descriptor of
    standard error, and no setting silences all of it. If it fails, all of that is shown.

    Args:
        verbose: Whether to let it speak.
    """
    if "tensorflow" not in sys.modules:  # which has read it
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    if verbose:
        import tensorflow as tf

        tf.config.list_physical_devices()
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # of what comes later: errors only
    with _standard_error_aside():
        import tensorflow as tf

        tf.config.list_physical_devices()
        # The devices start with the first operation, and say so.
        tf.constant(0.0) + tf.constant(0.0)


def accelerators() -> list:
    """The devices beside the processor, which TensorFlow has found already."""
    import tensorflow as tf

    return [one for one in tf.config.list_physical_devices() if one.device_type != "CPU"]


@contextlib.contextmanager
def _standard_error_aside() -> Iterator[None]:
    """Keeps what is written to descriptor 2 in a file, and shows it only after a failure."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            yield
        except BaseException:
            aside.seek(0)
            os.write(kept, aside.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
