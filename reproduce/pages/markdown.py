"""Tables as Markdown, and numbers as text."""

import math
from collections.abc import Callable, Iterable, Sequence

MINUS = "-"


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table.

    Args:
        header: Names of the columns; the first may be empty.
        rows: Cells of each row.

    Returns:
        Text without a line break at its end.

    Raises:
        ValueError: If a row has another number of cells than the header.

    Example:

    >>> print(table(["", "loss"], [["Adam", 0.5]]))
    | | loss |
    | --- | --- |
    | Adam | 0.5 |
    """
    lines: list[Sequence[object]] = [header, ["---"] * len(header)]
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"A row must have {len(header)} cells. Received: {list(row)}")
        lines.append(row)
    return "\n".join(_line(cells) for cells in lines)


def number(value: float, digits: int = 2) -> str:
    """A number with so many digits after the point, or a dash where there is none.

    Args:
        value: The number.
        digits: Digits after the point.

    Returns:
        Text.

    Examples:

    >>> number(1234.5678), number(-0.0001), number(float("nan"))
    ('1,234.57', '0.00', '-')
    """
    if value is None or not math.isfinite(value):
        return MINUS
    text = f"{value:,.{digits}f}"
    return text.removeprefix("-") if float(text.replace(",", "")) == 0 else text


def significant(value: float, digits: int = 3) -> str:
    """A number with so many digits that count, without powers of ten down to 1e-5.

    Args:
        value: The number.
        digits: How many digits.

    Returns:
        Text.

    Examples:

    >>> significant(0.0192837), significant(2.304982), significant(0.00002)
    ('0.0193', '2.30', '0.0000200')
    >>> significant(19_400), significant(0.0)
    ('19,400', '0')
    """
    if value is None or not math.isfinite(value):
        return MINUS
    if value == 0:
        return "0"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    if places > 7:
        return f"{value:.1e}"
    return f"{round(value, digits - 1 - math.floor(math.log10(abs(value)))):,.{places}f}"


def spread(
    values: Iterable[float], digits: int = 2, text: Callable[[float, int], str] = number
) -> str:
    """The mean of some numbers and, of several, the smallest and the largest.

    Args:
        values: Numbers, one a seed.
        digits: Digits after the point, or those that count.
        text: How a number is written: `number` or `significant`.

    Returns:
        Text.

    Examples:

    >>> spread([1.0, 3.0]), spread([2.0]), spread([])
    ('2.00 (1.00 to 3.00)', '2.00', '-')
    >>> spread([0.001, 0.003], 1, significant)
    '0.002 (0.001 to 0.003)'
    """
    every = [float(value) for value in values]
    if not every:
        return MINUS
    mean = text(sum(every) / len(every), digits)
    if len(every) == 1:
        return mean
    return f"{mean} ({text(min(every), digits)} to {text(max(every), digits)})"


def interval(value: float, low: float, high: float, digits: int = 2) -> str:
    """A number and its interval.

    Args:
        value: The number.
        low: Lower end, NaN where there is none.
        high: Upper end.
        digits: Digits after the point.

    Returns:
        Text.

    Example:

    >>> interval(0.5, 0.4, 0.6), interval(0.5, float("nan"), float("nan"))
    ('0.50 [0.40, 0.60]', '0.50')
    """
    text = number(value, digits)
    if not (math.isfinite(low) and math.isfinite(high)):
        return text
    return f"{text} [{number(low, digits)}, {number(high, digits)}]"


def _line(cells: Sequence[object]) -> str:
    return f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in cells)} |".replace(
        "|  |", "| |"
    )
