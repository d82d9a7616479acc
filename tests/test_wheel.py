"""What an installation from a wheel has, and that it works outside of a checkout."""

import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile

import pytest

import nta_tf as nta

_REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
_SOURCES = ["setup.cfg", "setup.py", "README.md", "LICENSE", "nta_tf", "reproduce"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel, built from a copy so that the checkout is left as it is."""
    pytest.importorskip("setuptools")
    copy = tmp_path_factory.mktemp("source")
    for name in _SOURCES:
        source = _REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy / name)
    code = "from setuptools import setup; setup()"
    command = [sys.executable, "-c", code, "-q", "bdist_wheel", "--dist-dir", str(copy / "dist")]
    ended = subprocess.run(command, cwd=copy, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    (path,) = (copy / "dist").glob("*.whl")
    return path


def test_it_holds_all_that_is_needed_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for folder, patterns in {
        "nta_tf": ["**/*.py", "sample/*", "py.typed"],
        "reproduce": ["**/*.py", "*.mplstyle", "traces/**/*"],
    }.items():
        for pattern in patterns:
            there = (p for p in (_REPOSITORY / folder).glob(pattern) if p.is_file())
            wanted = {p.relative_to(_REPOSITORY).as_posix() for p in there}
            wanted = {name for name in wanted if "__pycache__" not in name}
            assert wanted and not wanted - names, (pattern, sorted(wanted - names)[:5])
    tops = {name.split("/")[0] for name in names}
    assert {name for name in tops if not name.endswith(".dist-info")} == {"nta_tf", "reproduce"}


def test_its_metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (info,) = {n.split("/")[0] for n in archive.namelist() if ".dist-info/" in n}
        metadata = archive.read(f"{info}/METADATA").decode()
        scripts = archive.read(f"{info}/entry_points.txt").decode()
    assert f"Version: {nta.__version__}\n" in metadata
    assert "nta-reproduce = reproduce.cli:main" in scripts
    for extra in ("test", "gpu", "docs", "peers"):
        assert f"Provides-Extra: {extra}\n" in metadata


@pytest.mark.slow
def test_it_works_in_an_environment_of_its_own(wheel, tmp_path):
    """Its dependencies are those of this environment, by a path; it itself is installed."""
    place = tmp_path / "venv"
    venv.create(place, with_pip=True, symlinks=True)
    python = place / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run(install, check=True)
    (packages,) = place.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    work = tmp_path / "work"
    work.mkdir()

    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*command):
        options = {"cwd": work, "env": environment, "capture_output": True, "text": True}
        ended = subprocess.run(command, **options)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    code = "import nta_tf as n; print(n.__version__, len(n.data.load('sample').x), n.__file__)"
    version, digits, path = run(python, "-c", code).split()
    assert (version, digits) == (nta.__version__, "4000") and path.startswith(str(place))
    script = place / "bin" / "nta-reproduce"
    assert "usage: nta-reproduce " in run(script, "--help")
    assert "figure_6.png" in run(script, "figures", "6")
    assert (work / "figures" / "paper" / "figure_6.png").is_file()
