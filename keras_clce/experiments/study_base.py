"""What a study and a search have once they are made, where their arguments may be `None`."""

from typing import cast

from keras_clce.experiments.protocols import PROTOCOLS, Protocol
from keras_clce.experiments.settings import Settings


class StudyBase:
    """A base of dataclasses that put settings and a protocol in the place of `None`."""

    settings: Settings | None
    protocol: str | None

    @property
    def _settings(self) -> Settings:
        return cast(Settings, self.settings)

    @property
    def _protocol(self) -> Protocol:
        return PROTOCOLS[cast(str, self.protocol)]
