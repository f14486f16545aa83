"""Training: the model with its step, schedules and callbacks."""

from keras_clce.train.clce_model import CLCEModel
from keras_clce.train.contrastive_schedule import ContrastiveWeightSchedule
from keras_clce.train.saving import load_model

__all__ = ["CLCEModel", "ContrastiveWeightSchedule", "load_model"]
