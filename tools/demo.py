"""The main job on real input: `make demo`.

Fetches pinned releases of packages that nobody here wrote, shows what the linter finds in them and through which calls,
shows a fix as a diff, and times sequential against bounded concurrent requests to an HTTP server on loopback.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import zipfile
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import anyio

import asynckit

ROOT = Path(__file__).resolve().parent.parent / ".demo"
PACKAGES = ("prefect==3.9.1", "distributed==2026.8.0", "discord.py==2.7.1")
SHOWN = (
    ("prefect/locking/filesystem.py", "aacquire_lock", "time.sleep"),
    ("prefect/deployments/steps/core.py", "run_step", "subprocess.check_call"),
)
SAMPLE = """\
import time
from pathlib import Path

import requests


async def refresh(url: str, cache: Path) -> None:
    response = requests.get(url, timeout=10)
    cache.write_text(response.text)
    with open("log.txt") as log:
        lines = log.readlines()
    time.sleep(len(lines))
"""


def title(text: str) -> None:
    print(f"\n=== {text} " + "=" * max(3, 100 - len(text)), flush=True)


def asynclint(*arguments: str, cwd: Path) -> str:
    """Run the command; its output."""
    command = [sys.executable, "-P", "-m", "asynclint", *arguments]
    result = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, text=True, encoding="utf-8", check=False)
    if result.returncode not in (0, 1):
        sys.exit(f"demo: {' '.join(command)} ended with {result.returncode}")
    return result.stdout


def fetch() -> list[Path]:
    """Download and unpack the packages, once."""
    wheels = ROOT / "wheels"
    missing = [pin for pin in PACKAGES if not (ROOT / pin).is_dir()]
    for pin in missing:
        print(f"fetching {pin}", flush=True)
        pip = [sys.executable, "-m", "pip", "download", "-qq", "--no-deps", "--only-binary", ":all:"]
        subprocess.run([*pip, "--ignore-requires-python", "--dest", str(wheels / pin), pin], check=True)
        (wheel,) = (wheels / pin).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(wheels / f"{pin}.part")
        (wheels / f"{pin}.part").rename(ROOT / pin)
    return [ROOT / pin for pin in PACKAGES]


def show_findings(package: Path) -> None:
    """Count what is found in a package, and show the chains worth a look."""
    start = time.perf_counter()
    findings = json.loads(asynclint("check", "--no-cache", "--exit-zero", "--format", "json", ".", cwd=package))
    seconds = time.perf_counter() - start
    counts = ", ".join(f"{code} {count}" for code, count in sorted(Counter(f["code"] for f in findings).items()))
    print(f"{package.name}: {len(findings)} findings in {seconds:.1f} s: {counts}")
    for path, function, sink in SHOWN:
        for finding in findings:
            if finding["path"] == path and finding["function"].endswith(function) and finding["sink"] == sink:
                print()
                print(
                    f"{finding['path']}:{finding['line']}:{finding['column']}: {finding['code']} {finding['message']}"
                )
                for hop in finding["chain"]:
                    print(f"    {hop['path']}:{hop['line']} in {hop['function']}: {hop['text']}")
                print(f"    help: {finding['help']}")
                break
        else:
            if (package / path).exists():
                sys.exit(f"demo: {path}: expected {function} -> {sink} to be found")


class Slow(BaseHTTPRequestHandler):
    """Answers `GET /SECONDS` after that time."""

    def do_GET(self) -> None:
        time.sleep(float(self.path[1:]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"done")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class has the name
        pass


async def get(port: int, delay: float) -> bytes:
    """One HTTP request over a connection of its own."""
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(f"GET /{delay} HTTP/1.0\r\n\r\n".encode())
        answer = b""
        async for part in stream:
            answer += part
    return answer


async def compare(port: int) -> None:
    """The same three requests, one after the other and side by side."""
    delays = (1.0, 1.5, 0.5)
    start = time.perf_counter()
    sequential = [await get(port, delay) for delay in delays]
    one_by_one = time.perf_counter() - start
    start = time.perf_counter()
    concurrent = await asynckit.amap(lambda delay: get(port, delay), delays, limit=10)
    side_by_side = time.perf_counter() - start
    if [a[-4:] for a in sequential] != [a[-4:] for a in concurrent]:
        sys.exit("demo: the answers differ")
    print(f"three requests of {', '.join(map(str, delays))} s")
    print(f"  one after the other:               {one_by_one:.2f} s")
    print(f"  asynckit.amap(…, limit=10):        {side_by_side:.2f} s   {one_by_one / side_by_side:.1f} times as fast")


def main() -> None:
    """Run the demonstration."""
    ROOT.mkdir(exist_ok=True)
    title("asynclint: blocking calls in released packages, also behind helper functions")
    for package in fetch():
        show_findings(package)
    title("asynclint fix --diff: a sample before and after")
    sample = ROOT / "sample"
    sample.mkdir(exist_ok=True)
    (sample / "sample.py").write_text(SAMPLE, encoding="utf-8")
    print(asynclint("fix", "--no-cache", "--diff", "sample.py", cwd=sample))
    title("asynckit: sequential against bounded concurrent, over a real HTTP server")
    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        anyio.run(compare, server.server_port)
        server.shutdown()


if __name__ == "__main__":
    main()
