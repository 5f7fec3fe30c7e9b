"""Command line: each command parses its arguments, makes one call, prints, and sets the exit code."""

from __future__ import annotations

import os
import signal
import sys
from io import TextIOWrapper
from typing import get_args

from cyclopts import App, ArgumentCollection, CycloptsError, UnusedCliTokensError

from steadyface._version import __version__
from steadyface.cli.terminal import complain
from steadyface.errors import SteadyfaceError
from steadyface.interrupts import handled_by

_EXAMPLES = """Examples:

```
steadyface track clip.mp4
steadyface track a.mp4 b.mov photos/ --out results --format npz,csv
steadyface track talk.mp4 --stabilizer none --decoder fhr --no-overlay
steadyface track long.mov --start 60 --end 90.5
ffmpeg -i talk.avi -f matroska - | steadyface track -
steadyface track 0 --end 10
steadyface corpus videos/ --out tables
steadyface demo
```
"""


def _refuse_fractions(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Refuse 2.5 as a whole number, which cyclopts would round."""
    for argument in arguments:
        if argument.hint is int or int in get_args(argument.hint):
            for token in argument.tokens:
                if "." in token.value:
                    raise CycloptsError(msg=f"{argument.name} must be a whole number, got {token.value}")


app = App(
    name="steadyface",
    version=__version__,
    help="68 facial landmarks in high-resolution video: accurate below a pixel, steady, without lag.",
    help_epilogue=_EXAMPLES,
    suppress_keyboard_interrupt=False,
    config=_refuse_fractions,
)

_COMMANDS = (
    *("tracking:track", "corpus:corpus", "live:live", "reports:report", "correction:correct"),
    "replay:stabilize",
    *("tracking:demo", "networks:models"),
    *("networks:train", "networks:fit_uncertainty", "networks:label", "networks:export"),
    *("benchmarks:predict", "benchmarks:score", "benchmarks:evaluate", "reports:evaluate_report"),
    *("fitting:make_sequences", "fitting:fit_stabilizer", "fitting:fit_picture"),
)
for _command in _COMMANDS:  # imported on first use, so that the command line starts fast
    app.command(f"steadyface.cli.{_command}", help_epilogue="")  # the examples belong to the whole

app.register_install_completion_command(help="Complete commands and options in bash, zsh or fish.")


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit with 0, with 1 (it failed; one line says why) or with 2 (bad usage).

    SIGTERM and SIGHUP end a command as Ctrl-C does. BLAS gets one thread, unless `OPENBLAS_NUM_THREADS` says
    otherwise: the matrices are small, and its threads would wait for cores that decode or run the network.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy reads it when a command first imports it
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # it may be in an encoding without an arrow
    arguments = _with_files(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in app.help_flags:
        app.resolved_commands()  # the overview shows the first line of each
    try:
        with handled_by(signal.default_int_handler):
            code = app(arguments, exit_on_error=False, print_error=False)
    except UnusedCliTokensError as error:
        complain(f"unexpected: {' '.join(error.unused_tokens or ())} (see steadyface --help)")
        code = 2
    except CycloptsError as error:
        complain(f"{error} (see steadyface --help)")
        code = 2
    except SteadyfaceError as error:
        complain(str(error))
        code = 1
    except KeyboardInterrupt:
        complain("interrupted")
        code = 1
    sys.exit(code or 0)


def _with_files(arguments: list[str]) -> list[str]:
    """Make what follows a lone -- files, also those whose names begin with a hyphen."""
    end = arguments.index("--") + 1 if "--" in arguments else len(arguments)
    files = [f"./{name}" if name[:1] == "-" and name != "-" else name for name in arguments[end:]]
    return [*arguments[:end], *files]
