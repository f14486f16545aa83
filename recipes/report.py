r"""Put finished runs side by side, wherever and whenever they were made.

    python recipes/report.py --runs runs --output_dir report

Reads every run folder below `--runs` and writes, for each recipe, data set and encoder, the tables
that the recipe prints at its end (`report.md`) and its pictures. Runs that have not finished are
named and left out.
"""

import sys
import textwrap
from collections import defaultdict
from pathlib import Path

from absl import app, flags

from keras_clce.files import write_atomically
from keras_clce.report import (
    FEW_SHOT_NOTE,
    Curves,
    RunFolder,
    drawing,
    few_shot_tables,
    plot_curves,
    plot_few_shot,
    read_accuracies,
    run_name,
    run_title,
    summary_table,
)

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
            for kind in (run or {}).get("few_shot", ()):
                read_accuracies(folder.path.parent / run["accuracies"], kind)
            curves = Curves.of(history, config["settings"], run or {})
        except ValueError as error:
            print(f"Left out, {error}")
            continue
        if run is None:
            print(f"Left out, not finished: {folder.path}")
        else:
            groups[folder.path.parent].append((config["data"], run, curves))
    if not groups:
        sys.exit(f"Error: --runs must hold at least one finished run. Received: runs={FLAGS.runs}")

    output = Path(FLAGS.output_dir)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        sys.exit(f"Error: --output_dir must be a folder that can be written. Received: {error}")
    text = []
    for number, (home, members) in enumerate(groups.items(), start=1):
        runs = [run for _, run, _ in members]
        is_few_shot = "few_shot" in runs[0]
        try:
            table = few_shot_tables(runs, home) if is_few_shot else summary_table(runs)
        except ValueError as error:
            sys.exit(f"Error: {error}")
        pictures = {}
        histories = defaultdict(list)
        for _, run, curves in members:
            if curves.history:
                histories[run_name(run)].append(curves)
        if histories:
            picture = output / f"curves-{number}.png"
            with drawing(picture):
                plot_curves(histories, picture, run_title(runs[0]))
                pictures["curves"] = picture
        if is_few_shot:
            picture = output / f"few_shot-{number}.png"
            with drawing(picture):
                plot_few_shot(runs, picture)
                pictures["accuracy"] = picture
            table += f"\n\n{FEW_SHOT_NOTE}"
        of = "Accuracy on the novel classes" if is_few_shot else "Test accuracy"
        text += [
            f"## {home.relative_to(FLAGS.runs) if Path(FLAGS.runs) in home.parents else home.name}",
            *(f"{of} in %, {note}" for note in sorted({data for data, _, _ in members})),
            textwrap.indent(table, "    "),
            *(f"![{name}]({picture.name})" for name, picture in pictures.items()),
        ]
    report = "\n\n".join(text) + "\n"
    write_atomically(output / "report.md", lambda to: to.write_text(report))
    print(report)
    print(f"Report: {output / 'report.md'}")


if __name__ == "__main__":
    flags.DEFINE_string("runs", "runs", "Folder below which the run folders stand.")
    flags.DEFINE_string("output_dir", "report", "Where the report goes.")
    app.run(main)
