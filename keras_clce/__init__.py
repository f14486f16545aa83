"""Fine-tune image encoders with CLCE on any Keras 3 backend."""

# Views are imported for Keras to know the layers of saved models.
import keras_clce.views  # noqa: F401
from keras_clce.losses import CLCELoss, HSCLLoss, LACLNLoss, SupConLoss
from keras_clce.train import CLCEModel, load_model

__version__ = "0.1.0"

__all__ = ["CLCELoss", "CLCEModel", "HSCLLoss", "LACLNLoss", "SupConLoss", "load_model"]
