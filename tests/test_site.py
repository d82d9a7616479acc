"""The documentation site: every public name has its place in the API, and it builds."""

import inspect
import pathlib
import re
import subprocess
import sys
import types

import pytest

import nta_tf as nta

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
_PAGES = sorted((_REPOSITORY / "docs/api").glob("*.md"))
# What each page shows, with the members that it names; none are all of a module.
_SHOWN = {
    name: set(re.split(r"[, ]+", members.strip("[]"))) if members else None
    for page in _PAGES
    for name, members in re.findall(
        r"^::: (\S+)(?:\n    options:\n      members: (\[.*\]))?", page.read_text(), re.MULTILINE
    )
}


def _is_shown(name, value):
    """Whether a page has a function or class, under its name or that of where it is defined."""
    aliases = {f"nta_tf.{name}", f"{value.__module__}.{value.__name__}"}
    aliases |= {f"nta_tf.{other}" for other in nta.__all__ if getattr(nta, other) is value}
    for alias in aliases:
        module, _, last = alias.rpartition(".")
        inside = module in _SHOWN and module != "nta_tf"
        if alias in _SHOWN or (inside and (_SHOWN[module] is None or last in _SHOWN[module])):
            return True
    return False


def _public():
    for name in nta.__all__:
        value = getattr(nta, name)
        if not isinstance(value, types.ModuleType):
            yield name, value
            continue
        for inner in getattr(value, "__all__", vars(value)):
            member = getattr(value, inner)
            ours = getattr(member, "__module__", "").startswith("nta_tf")
            defined = (
                hasattr(value, "__all__") or getattr(member, "__module__", "") == value.__name__
            )
            if ours and defined and not inner.startswith("_") and callable(member):
                yield f"{name}.{inner}", member


def test_every_public_name_is_on_a_page():
    missing = [
        name
        for name, value in _public()
        if (inspect.isclass(value) or inspect.isfunction(value)) and not _is_shown(name, value)
    ]
    assert not missing


def test_every_page_is_in_the_navigation():
    navigation = (_REPOSITORY / "mkdocs.yml").read_text()
    for page in (_REPOSITORY / "docs").rglob("*.md"):
        assert page.relative_to(_REPOSITORY / "docs").as_posix() in navigation


def test_it_builds_without_warnings(tmp_path):
    pytest.importorskip("mkdocs", reason="`pip install -e .[docs]` brings it")
    pytest.importorskip("mkdocstrings")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    ended = subprocess.run(command, cwd=_REPOSITORY, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert 'id="nta_tf.train"' in (tmp_path / "api/training/index.html").read_text()
