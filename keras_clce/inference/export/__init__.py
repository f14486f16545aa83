"""Files that other programs run: the formats, how each is written, and what it gives."""

from keras_clce.inference.export.exporting import ExportedModel, check_export, export_model
from keras_clce.inference.export.formats import FORMATS, ExportFormat, find_format
from keras_clce.inference.export.int8 import Measured

EXPORT_FORMATS = tuple(FORMATS)

__all__ = [
    "EXPORT_FORMATS",
    "ExportFormat",
    "ExportedModel",
    "Measured",
    "check_export",
    "export_model",
    "find_format",
]
