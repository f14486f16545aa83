"""Reports: run folders, tables and plots."""

from keras_clce.report.plots import plot_curves
from keras_clce.report.run_folder import RunFolder
from keras_clce.report.tables import format_table, summary_table

__all__ = ["RunFolder", "format_table", "plot_curves", "summary_table"]
