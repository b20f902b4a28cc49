"""Hold the catalogue against the current releases of the libraries it tells of: `make catalog`.

Each distribution is fetched once into `.catalog/` (`--refresh` fetches anew), without its dependencies. A name is
looked up by importing it, in a process of its own; where that fails, for want of a dependency or a server, in the
source, by asynclint's own linking; and where that fails as well, by importing it with all dependencies. The standard
library is looked up in every interpreter that can be found, since names come and go with versions, and then in its
source, which has what is for another system; tables that say `since` a version that is not there are left out. What is
not found is printed, and is the exit code.

    python tools/verify_catalog.py --only redis,os      these files alone
    python tools/verify_catalog.py --write              note the release that each file was held against
    python tools/verify_catalog.py --suggest redis.Redis    public members that no entry names yet
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

from asynclint.catalog import Catalog, builtin_catalog
from asynclint.project.modules import ProgramModule
from asynclint.project.program import Program
from asynclint.project.values import External, ExternalInstance
from interpreters import working

ROOT = Path(__file__).parents[1]
CATALOGUE = ROOT / "src" / "asynclint" / "catalog"
STORE = ROOT / ".catalog"
LISTS = ("blocks", "lazy", "safe", "offloads", "on_loop", "spawns", "pure", "reads")
PROGRAM = """
import importlib, sys
sys.path[:0] = sys.argv[2:]
real, sys.stdout = sys.stdout, sys.stderr
parts = sys.argv[1].split(".")
for count in range(len(parts), 0, -1):
    try:
        thing = importlib.import_module(".".join(parts[:count]))
    except ImportError:
        continue
    break
for part in parts[count:]:
    thing = getattr(thing, part)
print(*(m for m in dir(thing) if not m.startswith("_") and callable(getattr(thing, m, None))), file=real)
"""
TABLES = ("returns", "items", "callbacks", "runs")
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
SECONDS = 120
LOOKUP = """
import importlib, json, sys, warnings
warnings.simplefilter("ignore")
sys.path[:0] = sys.argv[1:]
real, sys.stdout = sys.stdout, sys.stderr

def exists(name):
    parts = name.split(".")
    thing = None
    for count in range(len(parts), 0, -1):
        try:
            thing = importlib.import_module(".".join(parts[:count]))
        except BaseException:
            continue
        for part in parts[count:]:
            if part in getattr(thing, "__annotations__", ()) and not hasattr(thing, part):
                return part == parts[-1]
            thing = getattr(thing, part)
        return True
    return False

def can_be_found(name):
    try:
        return exists(name)
    except BaseException:
        return False

names = json.load(sys.stdin)
json.dump([name for name, others in names.items() if not any(map(can_be_found, [name, *others]))], real)
"""


present = cache(working)
"""The interpreter of a version, looked for once."""

LOCKS: dict[str, Lock] = {}
"""One for each distribution: two files may tell of the same, and neither is to see it half installed."""


@dataclass
class Report:
    """What became of one file of the catalogue.

    Attributes:
        sinks: How many of its entries block.
        imported: How many names were found by importing, `read` by reading the source.
    """

    file: Path
    release: str = ""
    entries: int = 0
    sinks: int = 0
    imported: int = 0
    read: int = 0
    missing: list[str] = field(default_factory=list)
    problem: str = ""

    def lines(self) -> list[str]:
        """The report as text."""
        counts = f"{self.imported:>5} by import, {self.read:>4} by source, {len(self.missing):>3} missing"
        head = f"{self.file.name:<28} {self.release or 'standard library':<40} {counts}"
        return [f"{head}  {self.problem}".rstrip(), *(f"    missing: {name}" for name in self.missing)]


Names = dict[str, list[str]]
"""A name, and others that will do: what a table says of a class is found in any of those that it says it of."""


def names_of(document: dict[str, Any], elsewhere: Collection[str] = ()) -> tuple[Names, int]:
    """The names that a file speaks of, and how many of them block; names of our own are left out.

    Args:
        elsewhere: What tables are about, in any file: a class that one of them is about is held against that table's
            distribution, not against that of a file which only says that something returns it.
    """
    apis = document.get("api", ())
    virtual = tuple(f"{api['name']}." for api in apis if api.get("virtual"))
    owners = {*elsewhere, *(name for api in apis for name in (api["name"], *api.get("also", ())))}
    names: Names = {}
    sinks = 0
    for api in apis:
        if f"{api['name']}.".startswith(virtual) or ("since" in api and not present(api["since"])):
            continue
        owner, also = api["name"], api.get("also", [])
        sinks += len(api.get("blocks", ()))
        members = [member for key in LISTS for member in api.get(key, ())]
        members += [member for key in TABLES for member in api.get(key, {})]
        names.update((name, []) for name in (owner, *also))
        for member in members:
            if member != "*":
                names[f"{owner}.{member}"] = [f"{name}.{member}" for name in also]
        classes = (*api.get("bases", ()), *api.get("returns", {}).values(), *api.get("items", {}).values())
        names.update((name, []) for name in classes if name not in owners and not f"{name}.".startswith(virtual))
    return names, sinks


def owners_in(catalogue: Iterable[Path]) -> set[str]:
    """What the tables of these files are about."""
    apis = [api for file in catalogue for api in tomllib.loads(file.read_text(encoding="utf-8")).get("api", ())]
    return {name for api in apis for name in (api["name"], *api.get("also", ()))}


def distributions(document: dict[str, Any]) -> list[str]:
    """What must be installed for a file; nothing for the standard library."""
    named = document.get("distribution", [])
    return [named] if isinstance(named, str) else named


def fetched(distribution: str, store: Path, *, dependencies: bool = False) -> Path:
    """The directory that a distribution is installed in, alone or with its dependencies.

    Raises:
        subprocess.SubprocessError: It cannot be installed.
    """
    target = store / (f"{distribution}+" if dependencies else distribution)
    if not target.exists():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile"]
        command += ["--target"] if dependencies else ["--no-deps", "--target"]
        partial = store / f"{target.name}.part"
        shutil.rmtree(partial, ignore_errors=True)
        options = ["--disable-pip-version-check", "--prefer-binary", distribution]
        try:
            subprocess.run([*command, partial, *options], check=True, capture_output=True, timeout=600)
        except subprocess.CalledProcessError:
            if dependencies:
                raise
            shutil.rmtree(partial, ignore_errors=True)
            _fetch_for_another_system(distribution, partial)
        partial.rename(target)
    return target


def _fetch_for_another_system(distribution: str, target: Path) -> None:
    """Unpack a release that does not install here: its Python files are the same everywhere."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    command += ["--platform", "win_amd64", "--python-version", "3.13", "--dest", str(target), distribution]
    subprocess.run(command, check=True, capture_output=True, timeout=600)
    for wheel in target.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(target)
        wheel.unlink()


def release_of(target: Path) -> str:
    """`redis 8.1.0`, by the metadata of what is installed in a directory."""
    for metadata in target.glob("*.dist-info/METADATA"):
        text = metadata.read_text(encoding="utf-8", errors="replace")
        name, version = (re.search(rf"^{key}: (.+)$", text, re.M) for key in ("Name", "Version"))
        if name and version:
            return f"{name[1]} {version[1]}"
    return ""


def not_importable(names: Names, python: str, paths: Iterable[Path]) -> Names:
    """Those of the names that importing does not lead to."""
    command = [python, "-I", "-B", "-c", LOOKUP, *map(str, paths)]
    try:
        run = subprocess.run(
            command,
            input=json.dumps(names),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        return {name: names[name] for name in json.loads(run.stdout)}
    except (subprocess.TimeoutExpired, ValueError):
        return names


def not_in_source(names: Names, paths: list[Path]) -> Names:
    """Those of the names that asynclint's linking does not lead to; a stub stands in for a module without source."""
    stubs = [stub for path in paths for stub in path.rglob("*.pyi") if not stub.with_suffix(".py").exists()]
    try:
        for stub in stubs:
            shutil.copyfile(stub, stub.with_suffix(".py"))
        return _not_linked(names, paths)
    finally:
        # Left behind, they would be imported by the next run, which proves nothing.
        for stub in stubs:
            stub.with_suffix(".py").unlink(missing_ok=True)


def _not_linked(names: Names, paths: list[Path]) -> Names:
    program = Program(paths, catalog=Catalog)
    tops = {name.partition(".")[0] for name in names}
    source = "\n".join(f"import {top}" for top in sorted(tops)).encode()
    probe = program.load_source(paths[0] / "probe_of_the_catalogue.py", source)
    return {
        name: others
        for name, others in names.items()
        if not any(_is_in_source(program, probe, each) for each in (name, *others))
    }


def _is_in_source(program: Program, probe: ProgramModule, name: str) -> bool:
    # Whatever is outside the sources resolves to its own name, and proves nothing: not even that it exists.
    if any(not isinstance(value, External | ExternalInstance) for value in program.resolve(probe, 0, name)):
        return True
    owner, _, member = name.rpartition(".")
    return any(program.has(value, member) for value in program.resolve(probe, 0, owner))


def verified(file: Path, store: Path, elsewhere: Collection[str] = ()) -> Report:
    """Hold one file of the catalogue against what it tells of; `elsewhere` is what tables of other files are about."""
    document = tomllib.loads(file.read_text(encoding="utf-8"))
    names, sinks = names_of(document, elsewhere)
    report = Report(file, entries=len(names), sinks=sinks)
    wanted = distributions(document)
    if not wanted:
        missing = names
        for python in filter(None, (sys.executable, *map(present, VERSIONS))):
            missing = not_importable(missing, str(python), ()) if missing else {}
        report.imported = len(names) - len(missing)
        # What only another system has is in the source here as well: `asyncio.ProactorEventLoop`.
        report.missing = list(_not_linked(missing, [Path(os.__file__).parent])) if missing else []
        report.read = len(missing) - len(report.missing)
        return report
    with ExitStack() as held:
        for distribution in sorted(set(wanted)):  # in one order for all, or two would wait for each other
            held.enter_context(LOCKS.setdefault(distribution, Lock()))
        _look_up(names, wanted, report, store)
    return report


def _look_up(names: Names, wanted: list[str], report: Report, store: Path) -> None:
    """Fill in the report of a file about distributions."""
    paths = []
    for distribution in wanted:
        try:
            paths.append(fetched(distribution, store))
        except subprocess.SubprocessError:
            report.problem = f"cannot be installed: {distribution}"
    if not paths:
        return
    report.release = ", ".join(filter(None, map(release_of, paths)))
    unimported = not_importable(names, sys.executable, paths)
    missing = not_in_source(unimported, paths) if unimported else {}
    report.read = len(unimported) - len(missing)
    if missing:
        try:
            complete = [fetched(distribution, store, dependencies=True) for distribution in wanted]
            missing = not_importable(missing, sys.executable, complete)
        except subprocess.SubprocessError:
            report.problem = "cannot be installed with its dependencies"
    report.missing = list(missing)
    report.imported = len(names) - report.read - len(missing)


def note(report: Report) -> None:
    """Write the release into the file, behind its distribution; every other byte stays."""
    if report.release and not report.missing and not report.problem:
        # As bytes: reading as text would change the ends of the lines. Only above the first table is it ours.
        head, table, rest = report.file.read_bytes().partition(b"[[")
        head = re.sub(rb"^verified = .*\n", b"", head, flags=re.M)
        line = rb'\g<0>verified = "%b"\g<end>' % report.release.encode()
        distribution = rb'^distribution = (?:"[^"]*"|\[[^]]*\])[^\r\n]*(?P<end>\r?\n)'
        report.file.write_bytes(re.sub(distribution, line, head, count=1, flags=re.M) + table + rest)


def files(only: str) -> Iterator[Path]:
    """The files of the catalogue, or those with the given names, joined by commas."""
    wanted = {name for name in only.split(",") if name}
    for file in sorted([*CATALOGUE.glob("apis/*.toml"), *CATALOGUE.glob("runtimes/*.toml")]):
        if not wanted or file.stem in wanted:
            yield file


def suggest(name: str, store: Path) -> list[str]:
    """Public members of a class or module that the catalogue does not name, for it or for one of its bases."""
    catalog = Catalog(categories=builtin_catalog().categories)
    for file in files(""):
        catalog.add(tomllib.loads(file.read_text(encoding="utf-8")), file.name)
    library = [tomllib.loads(file.read_text(encoding="utf-8")) for file in files(name.partition(".")[0])]
    paths = {fetched(distribution, store) for document in library for distribution in distributions(document)}
    command = [sys.executable, "-I", "-B", "-c", PROGRAM, name, *map(str, paths)]
    members = subprocess.run(command, capture_output=True, text=True, check=True, timeout=SECONDS).stdout.split()
    full = {member: f"{name}.{member}" for member in members}
    return [m for m in members if not catalog.sink(full[m]) and not catalog.knows(catalog.canonical(full[m]))]


def main() -> int:
    """Parse the command line and look everything up."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default="", help="names of files, joined by commas")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--refresh", action="store_true", help="fetch the current releases anew")
    parser.add_argument("--write", action="store_true", help="note the releases in the files")
    parser.add_argument("--suggest", metavar="NAME", help="members of a class that no entry names")
    arguments = parser.parse_args()
    every, chosen = list(files("")), list(files(arguments.only))
    if unknown := {*filter(None, arguments.only.split(","))} - {file.stem for file in chosen}:
        parser.error(f"no file of the catalogue: {', '.join(sorted(unknown))}")
    if arguments.refresh:
        shutil.rmtree(STORE, ignore_errors=True)
    STORE.mkdir(exist_ok=True)
    if arguments.suggest:
        try:
            print(*suggest(arguments.suggest, STORE), sep="\n")
        except subprocess.CalledProcessError as error:
            parser.error(f"{arguments.suggest} cannot be looked at: {(error.stderr or '').strip()[-500:]}")
        return 0
    reports, elsewhere = [], owners_in(every)
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for report in pool.map(lambda file: verified(file, STORE, elsewhere), chosen):
            print(*report.lines(), sep="\n", flush=True)
            reports.append(report)
            if arguments.write:
                note(report)
    total = {key: sum(getattr(report, key) for report in reports) for key in ("entries", "sinks", "imported", "read")}
    missing = sum(len(report.missing) for report in reports)
    problems = sum(bool(report.problem) for report in reports)
    print(
        f"{total['entries']} names in {len(reports)} files, {total['sinks']} of them sinks: verified "
        f"{total['imported']} by import and {total['read']} by source; {missing} missing, "
        f"{problems} files in part unseen"
    )
    return 1 if missing or problems else 0


if __name__ == "__main__":
    sys.exit(main())
