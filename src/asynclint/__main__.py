"""`asynclint`, and `python -m asynclint`.

`python -m` puts the working directory first on the import path, and that is the code to be checked: a `json.py` lying
there would be imported in place of the standard library's, and so executed. The package's `__init__` imports nothing,
and this module only `sys` until that entry is gone.
"""

import sys

_EXTRA = frozenset(("click", "libcst", "pathspec", "rich"))


def main() -> int:
    """Run the command.

    Returns:
        The exit code: 0 nothing found, 1 findings, 2 wrong usage or an internal error.
    """
    try:
        from asynclint.cli import run

        return run(sys.argv[1:])
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA:
            raise
        print(f"asynclint: needs {error.name}: run `pip install 'asynckit[lint]'`", file=sys.stderr)
        return 2


if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]
    sys.exit(main())
