"""Running the `asynclint` command in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

BLOCKING = "import time\n\n\nasync def main():\n    time.sleep(1)\n"
CLEAN = "import asyncio\n\n\nasync def main():\n    await asyncio.sleep(1)\n"


def asynclint(*arguments: str | Path, cwd: Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command the way its console script does."""
    command = [sys.executable, "-P", "-m", "asynclint", *map(str, arguments)]
    environment = {**os.environ, "PYTHONUTF8": "1"}
    return subprocess.run(
        command, cwd=cwd, input=stdin, capture_output=True, text=True, encoding="utf-8", env=environment, check=False
    )
