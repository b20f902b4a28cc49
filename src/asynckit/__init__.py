"""Structured-concurrency helpers on anyio."""

from asynckit._version import __version__

__all__ = ["__version__"]
