"""Random views by Keras's own layers, made inside the training step on any backend."""

import keras

from keras_clce.data.dataset import check_image_size
from keras_clce.data.views import check_policy

_VALUE_RANGE = (0, 255)
