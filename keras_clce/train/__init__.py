"""Training: the model with its step, schedules and callbacks."""

from keras_clce.train.clce_model import CLCEModel
from keras_clce.train.contrastive_schedule import ContrastiveWeightSchedule
from keras_clce.train.mixing import MIXES, ImageMixing
from keras_clce.train.saving import load_model

__all__ = ["MIXES", "CLCEModel", "ContrastiveWeightSchedule", "ImageMixing", "load_model"]
