r"""Put finished runs side by side, wherever and whenever they were made.

    python recipes/report.py --runs runs --output_dir report

Reads every run folder below `--runs` and writes, for each recipe, data set and encoder, the table
that the recipe prints at its end (`report.md`) and the curves (one picture each). Runs that have
not finished are named and left out.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path

from absl import app, flags

from keras_clce.files import write_atomically
from keras_clce.report import RunFolder, plot_curves, summary_table
from keras_clce.train.callbacks import RunCheckpoint

FLAGS = flags.FLAGS


def main(argv: list[str]) -> None:
    """Collect the runs, then write one table and one picture a group."""
    if argv[1:]:
        raise app.UsageError(f"Unexpected arguments: {' '.join(argv[1:])}")
    folders = [RunFolder(path.parent) for path in sorted(Path(FLAGS.runs).rglob("config.json"))]
    finished = [folder for folder in folders if folder.finished()]
    for folder in folders:
        if folder not in finished:
            print(f"Left out, not finished: {folder.path}")
    if not finished:
        sys.exit(f"Error: --runs must hold at least one finished run. Received: runs={FLAGS.runs}")
    groups = defaultdict(list)
    for folder in finished:
        groups[folder.path.parent].append(folder)

    output = Path(FLAGS.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    text = []
    for number, (home, members) in enumerate(groups.items(), start=1):
        runs = [folder.finished() for folder in members]
        data = {json.loads(folder.config.read_text())["data"] for folder in members}
        picture = output / f"curves-{number}.png"
        plot_curves(
            {
                f"{run['loss']}, seed {run['seed']}": RunCheckpoint.read_history(folder.checkpoint)
                for run, folder in zip(runs, members, strict=True)
            },
            picture,
        )
        text += [
            f"## {home.relative_to(FLAGS.runs)}",
            *(f"Test accuracy in %, {note}" for note in sorted(data)),
            "\n".join(f"    {line}" for line in summary_table(runs).splitlines()),
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
