"""Tests that have a short form for every day, and a long one for whoever sets ASYNCKIT_LONG=1."""

from __future__ import annotations

import os

LONG = bool(os.environ.get("ASYNCKIT_LONG"))
"""Whether the long form was asked for."""
