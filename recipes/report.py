r"""Put finished runs side by side, wherever and whenever they were made.

    python recipes/report.py --runs runs --output_dir report

Reads every run folder below `--runs` and writes, for each recipe, data set and encoder, which loss
is best, the tables that the recipe prints at its end (`report.md`) and its pictures. Runs that have
not finished are named and left out; so are runs of `--quick`, unless `--include_quick` is given.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import sys
from pathlib import Path

from absl import app, flags

FLAGS = flags.FLAGS


def define_flags() -> None:
    """Define the flags of the recipe."""
    flags.DEFINE_string("runs", "runs", "Folder below which the run folders stand.")
    flags.DEFINE_string("output_dir", "report", "Where the report goes.")
    flags.DEFINE_bool("include_quick", False, "Report runs of --quick, too.")


def main(argv: list[str]) -> None:
    """Write the report, and print it."""
    if argv[1:]:
        raise app.UsageError(f"Unexpected arguments: {' '.join(argv[1:])}")
    if not Path(FLAGS.runs).is_dir():
        sys.exit(f"Error: --runs must be a folder with finished runs. Received: runs={FLAGS.runs}")
    # Here, so that --help and bad flags need no Keras, whose import takes seconds.
    from keras_clce.report import write_report

    try:
        path = write_report(FLAGS.runs, FLAGS.output_dir, FLAGS.include_quick)
    except ValueError as error:
        message = str(error).replace("`runs`", "--runs").replace("`output_dir`", "--output_dir")
        sys.exit(f"Error: {message}")
    print(path.read_text())
    print(f"Report: {path}")


if __name__ == "__main__":
    define_flags()
    app.run(main)
