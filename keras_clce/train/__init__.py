"""Training: the model with its step, schedules and callbacks."""

from keras_clce.train.clce_model import CLCEModel

__all__ = ["CLCEModel"]
