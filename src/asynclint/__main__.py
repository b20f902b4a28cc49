"""`asynclint`, and `python -m asynclint`.

`python -m` puts the working directory first on the import path, and that is the code to be checked: a `json.py` lying
there would be imported in place of the standard library's, and so executed. The package's `__init__` imports nothing,
and this module only what the interpreter has loaded, until that entry is gone.
"""

import gc
import io
import os
import sys

_EXTRA = frozenset(("click", "libcst", "pathspec", "rich"))


def main() -> int:
    """Run the command, and end the process: 0 nothing found, 1 findings, 2 wrong usage or an internal error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # what the terminal cannot show is no reason to stop
    gc.disable()  # imports leave nothing to collect
    try:
        from asynclint.cli import run

        gc.enable()
        code = run(sys.argv[1:])
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA:
            raise
        print(f"asynclint: needs {error.name}: run `pip install 'asynckit[lint]'`", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"asynclint: {error}", file=sys.stderr)
        return 2
    except Exception:  # noqa: BLE001  # a bug; 1 would say that there are findings
        import traceback

        traceback.print_exc()
        return 2
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # freeing the facts of a large program one by one takes as long as a tenth of the run


if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]
    sys.exit(main())
