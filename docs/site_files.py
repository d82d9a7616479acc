"""MkDocs hook: what pages link to outside of docs/ is on the site, too."""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

_OUTSIDE = re.compile(r"\]\(\.\./([^)#\s]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds every file that a page of docs/ links to as `../path`."""
    root = Path(config.config_file_path).parent
    linked = set()
    for page in files.documentation_pages():
        if "/" in page.src_uri:  # its parent is docs/ itself
            continue
        linked |= set(_OUTSIDE.findall(Path(page.abs_src_path).read_text()))
    for path in sorted(linked):
        files.append(File.generated(config, path, abs_src_path=str(root / path)))
    return files


def on_page_markdown(markdown: str, page: Page, **kwargs: object) -> str:
    """Links to where these files are on the site; those of them that are pages link back."""
    if page.file.generated_by:
        return markdown.replace("](docs/", "](")
    return markdown if "/" in page.file.src_uri else _OUTSIDE.sub(r"](\1", markdown)
