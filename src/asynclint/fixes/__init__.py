"""Edits to files. The only place that imports libcst, and only once there is something to fix."""

from asynclint.fixes.files import FixResult, fix_file, fix_source, write

__all__ = ["FixResult", "fix_file", "fix_source", "write"]
