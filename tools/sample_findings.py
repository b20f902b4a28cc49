"""Draw findings at random from releases of real packages, to be read by people: `python tools/sample_findings.py`.

docs/accuracy.md records the verdicts. The releases are fetched once, into `.sample/`. A package is drawn first, then
one of its findings, so that a package with many findings alike does not crowd out the others.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PACKAGES = (
    "prefect==3.9.1",
    "litellm==1.109.1",
    "homeassistant==2026.2.3",
    "distributed==2026.8.0",
    "chainlit==2.12.0",
    "gradio==6.31.0",
    "nicegui==3.18.0",
    "jupyter-server==2.21.1",
    "browser-use==0.13.14",
    "dagster==1.13.29",
    "crewai==1.15.30",
    "telethon==1.45.0",
    "discord.py==2.7.1",
    "mcp==2.3.0",
)
SEED = 20261123
PYTHON = "3.13.5"
"""The newest syntax that any of them is written in."""


def unpacked(requirement: str, directory: Path) -> Path:
    """The directory of a release's files, fetched if it is not there."""
    target = directory / requirement
    if not target.exists():
        wheels = directory / "wheels" / requirement
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        subprocess.run([*command, "--python-version", PYTHON, "--dest", wheels, requirement], check=True)
        with zipfile.ZipFile(next(wheels.glob("*.whl"))) as wheel:
            wheel.extractall(target)
    return target


def findings(directory: Path, select: str) -> list[dict[str, Any]]:
    """What asynclint finds in a release."""
    command = [sys.executable, "-m", "asynclint", "check", "--format", "json", "--exit-zero", "--no-cache"]
    run = subprocess.run([*command, "--select", select, "."], cwd=directory, capture_output=True, text=True, check=True)
    found: list[dict[str, Any]] = json.loads(run.stdout)
    return found


def draw(pools: dict[str, list[dict[str, Any]]], number: int, seed: int) -> list[tuple[str, dict[str, Any]]]:
    """Draw without putting back: a package, then one of its findings."""
    choice = random.Random(seed)
    left = {package: list(pool) for package, pool in pools.items()}
    drawn: list[tuple[str, dict[str, Any]]] = []
    while len(drawn) < number and any(left.values()):
        package = choice.choice([name for name, pool in left.items() if pool])
        pool = left[package]
        drawn.append((package, pool.pop(choice.randrange(len(pool)))))
    return drawn


def main() -> None:
    """Parse the command line and print the sample."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "packages", nargs="*", default=PACKAGES, metavar="NAME==VERSION", help="the releases to draw from"
    )
    parser.add_argument("--number", type=int, default=50)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--select", default="ASY1,ASY2")
    parser.add_argument("--directory", type=Path, default=ROOT / ".sample")
    arguments = parser.parse_args()
    pools = {}
    for requirement in arguments.packages:
        pools[requirement] = findings(unpacked(requirement, arguments.directory), arguments.select)
        print(f"{requirement}: {len(pools[requirement])} findings")
    for number, (package, finding) in enumerate(draw(pools, arguments.number, arguments.seed), 1):
        print(f"\n{number}. {package} {finding['path']}:{finding['line']} {finding['code']} {finding['message']}")
        for hop in finding["chain"]:
            print(f"    {hop['path']}:{hop['line']} in {hop['function']}: {hop['text']}")


if __name__ == "__main__":
    main()
