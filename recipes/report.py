"""Put finished runs side by side, wherever and whenever they were made.

    python recipes/report.py --runs runs --output_dir report

Reads every run folder below `--runs` and writes, for each recipe, data set and encoder, which loss
is best, the tables that the recipe prints at its end (`report.md`) and its pictures. Runs that have
not finished are named and left out; so are runs of `--quick`, unless `--include_quick` is given.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

HELP = ("-h", "-help", "--help", "--helpshort", "--helpfull")


def define_flags() -> flags.FlagValues:
    """Define the flags, apart from absl's own `FLAGS`."""
    values = flags.FlagValues()
    options = {"flag_values": values, "module_name": "report"}
    flags.DEFINE_string("runs", "runs", "Folder below which the run folders stand.", **options)
    flags.DEFINE_string("output_dir", "report", "Where the report goes.", **options)
    flags.DEFINE_bool("include_quick", False, "Report runs of --quick, too.", **options)
    return values


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the report, and print it."""
    arguments = list(sys.argv if arguments is None else arguments)
    values = define_flags()
    if any(argument in HELP for argument in arguments[1:]):
        print(f"{__doc__}{values.get_help()}")
        return
    try:
        rest = values(arguments)[1:]
    except flags.Error as error:
        sys.exit(f"Error: {error}")
    if rest:
        sys.exit(f"Error: Unexpected arguments: {' '.join(rest)}")
    if not Path(values.runs).is_dir():
        sys.exit(f"Error: --runs must be a folder with finished runs. Received: runs={values.runs}")
    # Here, so that --help and wrong flags need no Keras, whose import takes seconds.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from keras_clce.report import write_report

    try:
        path = write_report(values.runs, values.output_dir, values.include_quick)
    except ValueError as error:
        message = str(error).replace("`runs`", "--runs").replace("`output_dir`", "--output_dir")
        sys.exit(f"Error: {message}")
    print(path.read_text())
    print(f"Report: {path}")


if __name__ == "__main__":
    main()
