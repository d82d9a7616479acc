"""What this machine's processor cannot do in hardware."""

from pathlib import Path

_FLAGS = {"avx512_bf16", "amx_bf16", "avx_ne_convert"}


def computes_bfloat16(cpuinfo: str | Path = "/proc/cpuinfo") -> bool | None:
    """Whether the processor has instructions for bfloat16; None where that cannot be told.

    Args:
        cpuinfo: What Linux says of the processor.

    Returns:
        A boolean, or None on other systems and other kinds of processor.
    """
    try:
        lines = Path(cpuinfo).read_text().splitlines()
    except OSError:
        return None
    flags = [set(line.partition(":")[2].split()) for line in lines if line.startswith("flags")]
    return bool(_FLAGS & flags[0]) if flags else None


def warning(policy: str | None, devices: list) -> str | None:
    """What to say before a training that this machine would take very long for.

    Args:
        policy: Name of the Keras dtype policy of its steps, or None.
        devices: The GPUs and TPUs that there are.

    Returns:
        A sentence, or None.
    """
    if policy != "mixed_bfloat16" or devices or computes_bfloat16() is not False:
        return None
    return (
        "warning: this processor computes bfloat16 in software: a step of the convnet takes 16 "
        "times as long as with `--set dtype_policy=float32`, which trains alike (docs/results.md)."
    )
