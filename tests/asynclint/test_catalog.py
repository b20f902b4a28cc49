"""The catalogue gives the same answers in whatever order names come up, though its files are read one by one."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import asynclint.catalog
from asynclint.catalog import read_catalog

FILES = sorted((Path(asynclint.catalog.__file__).parent / "apis").glob("*.toml"))


def test_there_are_files() -> None:
    assert len(FILES) > 200


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_name_in_a_file_can_be_reached_through_the_module_that_the_file_is_named_for(file: Path) -> None:
    for api in tomllib.loads(file.read_text(encoding="utf-8")).get("api", ()):
        others = api.get("also", ())
        assert all(other.partition(".")[0] == file.stem for other in others), f"{file.name}: {others}"
        assert others or api["name"].partition(".")[0] == file.stem, f"{file.name}: {api['name']}"


@pytest.mark.parametrize(
    ("other", "name"),
    [
        ("posixpath.exists", "os.path.exists"),
        ("io.open", "builtins.open"),
        ("dask.distributed.Client.gather", "distributed.Client.gather"),
        ("dask.distributed.Future.result", "distributed.Future.result"),
    ],
)
def test_another_name_of_a_sink_is_known_though_nobody_has_asked_for_the_first(other: str, name: str) -> None:
    sink = read_catalog().sink(other)
    assert sink is not None
    assert sink.name == name
