"""Who is warned of bfloat16."""

import pytest

from reproduce import processors


@pytest.mark.parametrize(
    "content, expected",
    [
        ("processor : 0\nflags\t\t: fpu avx2 fma\n", False),
        ("processor : 0\nflags\t\t: fpu avx512_bf16 amx_bf16\n", True),
        ("processor : 0\nFeatures : asimd bf16\n", None),
    ],
)
def test_instructions_are_read_off_the_flags(tmp_path, content, expected):
    (tmp_path / "cpuinfo").write_text(content)
    assert processors.computes_bfloat16(tmp_path / "cpuinfo") is expected
    assert processors.computes_bfloat16(tmp_path / "missing") is None


@pytest.mark.parametrize(
    "policy, devices, hardware, warned",
    [
        ("mixed_bfloat16", [], False, True),
        ("mixed_bfloat16", [], True, False),
        ("mixed_bfloat16", [], None, False),
        ("mixed_bfloat16", ["GPU"], False, False),
        (None, [], False, False),
        ("float32", [], False, False),
    ],
)
def test_only_software_is_warned_of(monkeypatch, policy, devices, hardware, warned):
    monkeypatch.setattr(processors, "computes_bfloat16", lambda: hardware)
    warning = processors.warning(policy, devices)
    assert (warning is not None) is warned
    assert not warned or "--set dtype_policy=float32" in warning
