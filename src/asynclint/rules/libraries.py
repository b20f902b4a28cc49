"""Which async library a file is written for."""

from __future__ import annotations

from asynclint.project.modules import ProgramModule


def library_of(module: ProgramModule) -> str:
    """`asyncio`, `anyio` or `trio`, by the file's imports.

    A file that imports anyio may run on either loop, so anyio comes first; a file that says nothing runs on asyncio.
    """
    imported = {name.partition(".")[0] for name in module.facts.imports}
    if imported & {"anyio", "asynckit"}:
        return "anyio"
    return "trio" if "trio" in imported and "asyncio" not in imported else "asyncio"
