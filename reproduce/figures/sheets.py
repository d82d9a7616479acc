"""Drawn figures with what they rest on, and how they are saved.

A figure's own small print is short. All that it rests on is in its PNG, as `Title` and
`Description`, and in the README.md of its folder, which is made of all PNGs that lie there.
"""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from reproduce import files, paths

INDEX = "README.md"
_COLOURS = 256  # of a PNG, which makes it a third as large
# No date, no versions: redrawing must not change a committed file.
_PDF = {"Creator": None, "Producer": None, "CreationDate": None}


@dataclass(frozen=True)
class Sheet:
    """A figure, drawn.

    Attributes:
        figure: The drawing.
        title: What it shows, in one line.
        details: What it rests on, a list of sentences.
    """

    figure: Figure
    title: str
    details: list[str]


def save(sheet: Sheet, out: Path, name: str, pdf: bool = False) -> list[Path]:
    """Writes a figure, the same bytes whenever it is drawn again.

    Args:
        sheet: The `Sheet`.
        out: Directory, made when it is not there.
        name: File name without extension.
        pdf: Whether to write a PDF beside the PNG.

    Returns:
        The paths written.
    """
    drawn = {"png": BytesIO()} | ({"pdf": BytesIO()} if pdf else {})
    with matplotlib.rc_context(fname=paths.STYLE):
        _save_png(sheet, drawn["png"])
        if pdf:
            about = {"Title": sheet.title, **_PDF}
            sheet.figure.savefig(drawn["pdf"], format="pdf", metadata=about)
    return [files.write_bytes(out / f"{name}.{end}", of.getvalue()) for end, of in drawn.items()]


def write_index(out: Path, title: str) -> Path:
    """Writes the README of a folder of figures.

    Args:
        out: The folder.
        title: Its heading.

    Returns:
        Its path.
    """
    parts = [
        f"# Figures: {title}\n",
        "Drawn by `python -m reproduce figures`; each PNG carries the text below it.\n",
    ]
    for path in sorted(out.glob("figure_*.png")):
        name, details = about(path)
        if name:
            parts.append(_section(path, name, details))
    return files.write_text(out / INDEX, "\n".join(parts))


def about(path: Path) -> tuple[str, list[str]]:
    """What a drawing rests on, which its file carries.

    Args:
        path: A PNG that `save` wrote.

    Returns:
        Its title, empty where it has none, and phrases.
    """
    with Image.open(path) as image:
        return image.info.get("Title", ""), image.info.get("Description", "").splitlines()


def _section(path: Path, title: str, details: list[str]) -> str:
    lines = [f"## {title}", "", f"![{title}]({path.name})", "", *(f"* {text}" for text in details)]
    if path.with_suffix(".pdf").is_file():
        lines.append(f"* [PDF]({path.stem}.pdf)")
    return "\n".join(lines) + "\n"


def _save_png(sheet: Sheet, file: BytesIO) -> None:
    text = PngInfo()
    text.add_text("Title", sheet.title)
    text.add_text("Description", "\n".join(sheet.details))
    image = Image.fromarray(_pixels(sheet.figure)).convert("RGB")
    image = image.quantize(_COLOURS, dither=Image.Dither.NONE)
    resolution = (sheet.figure.dpi, sheet.figure.dpi)
    image.save(file, "PNG", pnginfo=text, optimize=True, dpi=resolution)


def _pixels(figure: Figure) -> np.ndarray:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())
