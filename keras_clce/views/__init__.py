"""Views of images: two random ones to train on, and the one that evaluation shows."""

from keras_clce.views.augmenter import two_view_augmenter
from keras_clce.views.policies import VIEW_POLICIES
from keras_clce.views.preprocessing import Preprocessing

__all__ = ["VIEW_POLICIES", "Preprocessing", "two_view_augmenter"]
