"""Two random views of every image, made by Keras layers inside the training step."""

from keras_clce.views.augmenter import two_view_augmenter
from keras_clce.views.policies import VIEW_POLICIES

__all__ = ["VIEW_POLICIES", "two_view_augmenter"]
