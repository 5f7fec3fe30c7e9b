"""The command line: each command parses, makes one call, prints, and sets the exit code."""

from __future__ import annotations

import sys

from cyclopts import App, CycloptsError

from steadyface._version import __version__
from steadyface.cli.benchmarks import evaluate, predict, score
from steadyface.cli.corpus import corpus
from steadyface.cli.fitting import fit_stabilizer, make_sequences
from steadyface.cli.live import live
from steadyface.cli.networks import export, label, models, train
from steadyface.cli.reports import report
from steadyface.cli.terminal import complain
from steadyface.cli.tracking import demo, track
from steadyface.errors import SteadyfaceError

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

app = App(
    name="steadyface",
    version=__version__,
    help="68 facial landmarks in high-resolution video: accurate below a pixel, steady, without lag.",
    help_epilogue=_EXAMPLES,
)

_COMMANDS = (
    *(track, corpus, live, report, demo, models),
    *(train, label, export),
    *(predict, score, evaluate),
    *(make_sequences, fit_stabilizer),
)
for _command in _COMMANDS:
    app.command(_command, help_epilogue="")  # the examples are of the whole

app.register_install_completion_command(help="Complete commands and options in bash, zsh or fish.")


def main(arguments: list[str] | None = None) -> None:
    """Run a command and leave with 0, 1 (it failed, in one line) or 2 (bad usage)."""
    try:
        code = app(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        complain(f"{error}  (see steadyface --help)")
        code = 2
    except SteadyfaceError as error:
        complain(str(error))
        code = 1
    except KeyboardInterrupt:
        complain("interrupted")
        code = 1
    sys.exit(code or 0)
