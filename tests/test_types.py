"""Every public function, class and method says what it takes and what it returns."""

import ast
import importlib.resources
import pathlib

import pytest

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
_MODULES = sorted(
    path.relative_to(_REPOSITORY).as_posix()
    for package in ("nta_tf", "reproduce")
    for path in (_REPOSITORY / package).rglob("*.py")
)
# Scripts are run, not imported.
_SCRIPTS = {"nta_tf/sample/make_sample.py", "reproduce/__main__.py"}
# Modules (or folders) without hints as yet. This list only ever becomes shorter.
_WITHOUT = [
    "nta_tf/grams.py",
    "nta_tf/solvers",
]


def _public(tree, prefix=""):
    """(name, node) of what is public in a module: functions, methods, and their classes' too."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _public(node, f"{node.name}.")
        shown = not getattr(node, "name", "_").startswith("_") or (prefix and _is_called(node))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and shown:
            yield f"{prefix}{node.name}", node


def _is_called(node):
    return getattr(node, "name", "") in ("__init__", "__call__", "__enter__", "__exit__")


def _bare(node, is_method):
    """Names of a function's arguments without a type, and `return` if it has none."""
    given = node.args
    arguments = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    static = any(getattr(one, "id", "") == "staticmethod" for one in node.decorator_list)
    own = 1 if is_method and not static else 0
    names = [one.arg for one in arguments[own:] if one is not None and one.annotation is None]
    return names + ([] if node.returns is not None else ["return"])


def _untyped(path):
    tree = ast.parse((_REPOSITORY / path).read_text())
    found = ((name, _bare(node, "." in name)) for name, node in _public(tree))
    return [f"{name} ({', '.join(bare)})" for name, bare in found if bare]


def _excepted(path):
    return any(path == one or path.startswith(one.rstrip("/") + "/") for one in _WITHOUT)


@pytest.mark.parametrize("path", [path for path in _MODULES if path not in _SCRIPTS])
def test_public_names_have_types(path):
    untyped = _untyped(path)
    if _excepted(path):
        pytest.skip("has no types yet")
    assert not untyped, f"{path}: without types are {'; '.join(untyped)}"


@pytest.mark.parametrize("entry", _WITHOUT)
def test_exceptions_are_needed(entry):
    modules = [path for path in _MODULES if path == entry or path.startswith(f"{entry}/")]
    assert any(_untyped(path) for path in modules), f"take {entry} off the list of exceptions"


def test_the_library_says_that_it_is_typed():
    assert (importlib.resources.files("nta_tf") / "py.typed").is_file()
