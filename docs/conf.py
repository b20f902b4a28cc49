"""Sphinx configuration: Markdown by MyST, docstrings by autodoc, pages by furo."""

from __future__ import annotations

from sphinx.application import Sphinx

from asynckit import __version__

project = "asynckit"
author = "the asynckit authors"
copyright = "2026, the asynckit authors"  # noqa: A001 - Sphinx reads this name
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"asynckit {release}"
html_copy_source = False
html_show_sphinx = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = ["Cancellation"]
default_role = "code"


def _mark_examples(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Docstrings set examples off by an empty line and an indent, as Markdown does: say so in reStructuredText."""
    previous, marked = "", []
    for line in lines:
        # A section's content follows its heading directly, so what is indented after an empty line is an example.
        if line.startswith("    ") and marked and not marked[-1] and previous[:1].strip():
            marked += ["::", ""]
        if line.strip():
            previous = line
        marked.append(line)
    lines[:] = marked


def setup(app: Sphinx) -> None:
    """Run before napoleon, which rewrites sections."""
    app.connect("autodoc-process-docstring", _mark_examples, priority=400)
