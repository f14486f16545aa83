"""What a run leaves behind: its folder, and the record of a finished one."""

from keras_clce.runs.record import Record, read_accuracies, run_name
from keras_clce.runs.run_folder import RunFolder
from keras_clce.runs.search import find_records

__all__ = ["Record", "RunFolder", "find_records", "read_accuracies", "run_name"]
