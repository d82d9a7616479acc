"""The promises of the public surface: what is exported is documented and shown."""

import inspect
import subprocess
import sys

import pytest

import nta_tf as nta

_CALLABLES = [name for name in nta.__all__ if not inspect.ismodule(getattr(nta, name))]
_MODULES = [name for name in nta.__all__ if inspect.ismodule(getattr(nta, name))]


@pytest.mark.parametrize("name", _CALLABLES)
def test_public_names_are_documented(name):
    doc = inspect.getdoc(getattr(nta, name))
    assert doc and doc.splitlines()[0].endswith("."), f"nta.{name} has no summary line"
    if inspect.isfunction(getattr(nta, name)):
        for section in ("Args:", "Returns:", "Example:"):
            assert section in doc, f"nta.{name} has no {section}"


@pytest.mark.parametrize("name", _MODULES)
def test_public_functions_of_public_modules_are_documented(name):
    module = getattr(nta, name)
    for member, value in vars(module).items():
        ours = getattr(value, "__module__", "").startswith("nta_tf")
        if ours and not member.startswith("_") and callable(value):
            assert inspect.getdoc(value), f"nta.{name}.{member} has no docstring"


@pytest.mark.slow
def test_nothing_is_imported_before_it_is_needed():
    """`reproduce` never; TFDS, whose import takes seconds, not for the shipped digits."""
    code = (
        "import sys, nta_tf; nta_tf.data.load('sample'); "
        "print({'reproduce', 'tensorflow_datasets'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr[-2000:]
