r"""Put finished runs side by side, wherever and whenever they were made.

    python recipes/report.py --runs runs --output_dir report

Reads every run folder below `--runs` and writes, for each recipe, data set and encoder, the table
that the recipe prints at its end (`report.md`) and the curves (one picture each). Runs that have
not finished are named and left out.
"""

import sys
from collections import defaultdict
from pathlib import Path

from absl import app, flags

from keras_clce.files import write_atomically
from keras_clce.report import RunFolder, plot_curves, summary_table

FLAGS = flags.FLAGS


def main(argv: list[str]) -> None:
    """Collect the runs, then write one table and one picture a group."""
    if argv[1:]:
        raise app.UsageError(f"Unexpected arguments: {' '.join(argv[1:])}")
    folders = [RunFolder(path.parent) for path in sorted(Path(FLAGS.runs).rglob("config.json"))]
    groups = defaultdict(list)
    for folder in folders:
        try:
            config, run, history = folder.begun(), folder.finished(), folder.read_history()
        except ValueError as error:
            print(f"Left out, {error}")
            continue
        if run is None:
            print(f"Left out, not finished: {folder.path}")
        elif "test" not in run:
            print(f"Left out, not of the transfer recipe: {folder.path}")
        else:
            groups[folder.path.parent].append((config["data"], run, history))
    if not groups:
        sys.exit(f"Error: --runs must hold at least one finished run. Received: runs={FLAGS.runs}")

    output = Path(FLAGS.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    text = []
    for number, (home, members) in enumerate(groups.items(), start=1):
        data = {data for data, _, _ in members}
        picture = output / f"curves-{number}.png"
        plot_curves(
            {f"{run['loss']}, seed {run['seed']}": history for _, run, history in members},
            picture,
        )
        text += [
            f"## {home.relative_to(FLAGS.runs)}",
            *(f"Test accuracy in %, {note}" for note in sorted(data)),
            "\n".join(
                f"    {line}" for line in summary_table([run for _, run, _ in members]).splitlines()
            ),
            f"![curves]({picture.name})",
        ]
    report = "\n\n".join(text) + "\n"
    write_atomically(output / "report.md", lambda to: to.write_text(report))
    print(report)
    print(f"Report: {output / 'report.md'}")


if __name__ == "__main__":
    flags.DEFINE_string("runs", "runs", "Folder below which the run folders stand.")
    flags.DEFINE_string("output_dir", "report", "Where the report goes.")
    app.run(main)
