"""Losses: CLCE and its contrastive parts."""

from keras_clce.losses.clce import CLCELoss
from keras_clce.losses.contrastive import HSCLLoss, LACLNLoss, SupConLoss

__all__ = ["CLCELoss", "HSCLLoss", "LACLNLoss", "SupConLoss"]
