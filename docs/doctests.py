"""Griffe extension: doctests of docstrings are shown as code."""

import griffe


class FencedDoctests(griffe.Extension):
    """Puts fences around the doctests of every docstring, which stand at its margin."""

    def on_instance(self, *, obj: griffe.Object, **kwargs: object) -> None:
        """Changes the docstring of an object when it has been loaded."""
        if obj.docstring:
            obj.docstring.value = fenced(obj.docstring.value)


def fenced(text: str) -> str:
    """A docstring with fences around each block that begins with `>>>`, to its blank line."""
    lines, inside = [], False
    for line in text.splitlines():
        if not inside and line.startswith(">>>"):
            lines.append("```python")
            inside = True
        elif inside and not line.strip():
            lines.append("```")
            inside = False
        lines.append(line)
    return "\n".join([*lines, "```"] if inside else lines)
