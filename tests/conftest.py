"""What every test of the project shares."""

from __future__ import annotations

import os
import signal

import pytest


def pytest_configure() -> None:
    """Programs under test react to signals, even where `nohup` or a shell's `&` made whoever runs them ignore some."""
    for name, usual in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
        number = getattr(signal, name, None)  # there is no SIGHUP on Windows
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out tests that need a service of the machine, unless the one who runs them says it is there."""
    if os.environ.get("ASYNCKIT_REQUIRE_SERVICES"):
        return
    absent = pytest.mark.skip(reason="needs a service; set ASYNCKIT_REQUIRE_SERVICES=1 to run it")
    for item in items:
        if "services" in item.keywords:
            item.add_marker(absent)
