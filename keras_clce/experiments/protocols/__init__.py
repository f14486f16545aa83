"""Protocols: how a trained model is validated and tested. One file and one row each."""

from keras_clce.experiments.protocols.base import Evaluation, Protocol
from keras_clce.experiments.protocols.few_shot import FewShot
from keras_clce.experiments.protocols.transfer import Transfer

PROTOCOLS: dict[str, Protocol] = {protocol.name: protocol for protocol in (Transfer(), FewShot())}

__all__ = ["PROTOCOLS", "Evaluation", "Protocol"]
