"""What a run leaves behind: its folder, and the record of a finished one."""

from keras_clce.runs.predictions import Predictions, read_predictions
from keras_clce.runs.probe import Probe, read_probe
from keras_clce.runs.record import Record, read_accuracies, run_name
from keras_clce.runs.run_folder import RunFolder
from keras_clce.runs.search import find_records
from keras_clce.runs.study_plan import StudyPlan, StudyPoint, read_plan

__all__ = [
    "Predictions",
    "Probe",
    "Record",
    "RunFolder",
    "StudyPlan",
    "StudyPoint",
    "find_records",
    "read_accuracies",
    "read_plan",
    "read_predictions",
    "read_probe",
    "run_name",
]
