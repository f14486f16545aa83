"""Fine-tune image encoders with CLCE on any Keras 3 backend."""

from keras_clce.losses import CLCELoss, HSCLLoss, LACLNLoss, SupConLoss
from keras_clce.train import CLCEModel

__version__ = "0.1.0"

__all__ = ["CLCELoss", "CLCEModel", "HSCLLoss", "LACLNLoss", "SupConLoss"]
