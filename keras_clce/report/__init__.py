"""Reports: tables, pictures and the page, from the records of runs."""

from keras_clce.report.answers import wrapped
from keras_clce.report.class_tables import balance_table
from keras_clce.report.comparisons import Comparison, clce_comparisons
from keras_clce.report.curves import Curves, curves_by_name, plot_curves
from keras_clce.report.explanation_pictures import saliency_overlay
from keras_clce.report.few_shot_classifiers import (
    CLASSIFIERS_NOTE,
    classifier_tables,
    finetuned_table,
    has_several_classifiers,
)
from keras_clce.report.few_shot_pictures import plot_few_shot, plot_task
from keras_clce.report.few_shot_tables import (
    FEW_SHOT_NOTE,
    FROZEN,
    few_shot_answer,
    few_shot_table,
    few_shot_tables,
)
from keras_clce.report.folders import write_comparison
from keras_clce.report.image_grids import Tile, plot_image_grid
from keras_clce.report.markdown import without_details
from keras_clce.report.model_card import model_card, write_model_card
from keras_clce.report.names import run_title
from keras_clce.report.page import write_report
from keras_clce.report.paper import paper_rows, paper_source
from keras_clce.report.pictures import drawing
from keras_clce.report.search_pictures import plot_search
from keras_clce.report.show_views import show_views
from keras_clce.report.tables import format_table
from keras_clce.report.transfer_tables import summary_table, transfer_answer
from keras_clce.report.validation import validation_line, validation_table
from keras_clce.report.verdicts import Verdict, verdicts
from keras_clce.runs import RunFolder, read_accuracies, run_name

__all__ = [
    "CLASSIFIERS_NOTE",
    "FEW_SHOT_NOTE",
    "FROZEN",
    "Comparison",
    "Curves",
    "RunFolder",
    "Tile",
    "Verdict",
    "balance_table",
    "classifier_tables",
    "clce_comparisons",
    "curves_by_name",
    "drawing",
    "few_shot_answer",
    "few_shot_table",
    "few_shot_tables",
    "finetuned_table",
    "format_table",
    "has_several_classifiers",
    "model_card",
    "paper_rows",
    "paper_source",
    "plot_curves",
    "plot_few_shot",
    "plot_image_grid",
    "plot_search",
    "plot_task",
    "read_accuracies",
    "run_name",
    "run_title",
    "saliency_overlay",
    "show_views",
    "summary_table",
    "transfer_answer",
    "validation_line",
    "validation_table",
    "verdicts",
    "without_details",
    "wrapped",
    "write_comparison",
    "write_model_card",
    "write_report",
]
