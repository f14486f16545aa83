"""Put finished runs on a page that says whether CLCE helped, by how much and how sure that is.

    python recipes/report.py --runs runs --output_dir report
    python recipes/report.py --compare before after --output_dir report

Reads every run folder below `--runs` and writes `report.html`, one file to open or to send, and
`report.md`: the answer in words, then for each recipe, data set and encoder tables beside the
paper's figures, pictures, tests, and each run with the command that makes it again. `--compare`
takes two folders, as of two machines or two versions: runs are paired by settings and seed. Runs
that have not finished are named and left out; so are runs of `--quick`, unless `--include_quick` is
given.
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
    flags.DEFINE_list("compare", None, "Two folders of runs to compare: A B, or A,B.", **options)
    flags.DEFINE_string("output_dir", "report", "Where the report goes.", **options)
    flags.DEFINE_bool("include_quick", False, "Report runs of --quick, too.", **options)
    return values


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the report, and print what is not folded on its page."""
    arguments = list(sys.argv if arguments is None else arguments)
    values = define_flags()
    if any(argument in HELP for argument in arguments[1:]):
        print(f"{__doc__}{values.get_help()}")
        return
    try:
        rest = values(arguments)[1:]
    except flags.Error as error:
        sys.exit(f"Error: {error}")
    compared = [*(values.compare or []), *rest]
    if rest and not values.compare:
        sys.exit(f"Error: Unexpected arguments: {' '.join(rest)}")
    if values.compare and (len(compared) != 2 or values["runs"].present):
        sys.exit(
            "Error: --compare must have two folders, and takes the place of --runs. Received: "
            f"compare={','.join(compared)}{f', runs={values.runs}' * values['runs'].present}"
        )
    for name, folder in [("compare", f) for f in compared] or [("runs", values.runs)]:
        if not Path(folder).is_dir():
            sys.exit(
                f"Error: --{name} must be a folder with finished runs. Received: {name}={folder}"
            )
    # Here, so that --help and wrong flags need no Keras, whose import takes seconds.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from keras_clce.experiments import command_of
    from keras_clce.report import without_details, write_comparison, write_report

    # Hundreds of runs take a minute.
    folders = " and ".join(compared) or values.runs
    print(f"Reading the runs below {folders} …", file=sys.stderr, flush=True)
    try:
        if compared:
            path = write_comparison(
                *compared, values.output_dir, values.include_quick, command=command_of
            )
        else:
            path = write_report(
                values.runs, values.output_dir, values.include_quick, command=command_of
            )
    except ValueError as error:
        message = str(error).replace("`runs`", "--runs").replace("`output_dir`", "--output_dir")
        sys.exit(f"Error: {message.replace('`compare`', '--compare')}")
    print(without_details(path.read_text(encoding="utf-8")))
    print(f"Report: {path}")
    print(f"Page:   {path.with_suffix('.html')}")


if __name__ == "__main__":
    main()
