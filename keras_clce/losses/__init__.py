"""Losses: CLCE and its contrastive parts."""

from keras_clce.losses.clce import CLCELoss
from keras_clce.losses.contrastive import HSCLLoss, LACLNLoss, SupConLoss
from keras_clce.losses.names import LOSSES, get

__all__ = ["LOSSES", "CLCELoss", "HSCLLoss", "LACLNLoss", "SupConLoss", "get"]
