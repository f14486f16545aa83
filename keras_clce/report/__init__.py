"""Reports: run folders, tables and plots."""

from keras_clce.report.few_shot import (
    FEW_SHOT_NOTE,
    FROZEN,
    few_shot_table,
    few_shot_tables,
    plot_few_shot,
    plot_task,
    read_accuracies,
)
from keras_clce.report.plots import Curves, drawing, plot_curves
from keras_clce.report.run_folder import RunFolder
from keras_clce.report.tables import format_table, run_name, run_title, summary_table

__all__ = [
    "FEW_SHOT_NOTE",
    "FROZEN",
    "Curves",
    "RunFolder",
    "drawing",
    "few_shot_table",
    "few_shot_tables",
    "format_table",
    "plot_curves",
    "plot_few_shot",
    "plot_task",
    "read_accuracies",
    "run_name",
    "run_title",
    "summary_table",
]
