"""What the flags of a study ask for."""

import dataclasses
from typing import TYPE_CHECKING, Any

from keras_clce.experiments.settings import Settings, fields

if TYPE_CHECKING:
    from keras_clce.experiments.study import Study


@dataclasses.dataclass(frozen=True)
class StudyFlags:
    """What flags ask for.

    Args:
        settings: The settings of all runs.
        given: Names of the settings that were given.
        losses: The losses to compare, or `None` where none were named.
        seeds: The seeds.
        resume: Whether runs go on.
        show_views: How many images to draw with their views.
        frozen: Whether to test the encoder as it is.
        named: Names of `--settings`.
        own: The values of the recipe's own flags, `None` where it has none. Defaults to `None`.

    Example:
    ```python
    from keras_clce.experiments.flags import define, parse
    parse(define({}, None), ["mine", "--losses=ce,clce"]).losses  # ("ce", "clce")
    ```
    """

    settings: Settings
    given: frozenset[str]
    losses: tuple[str, ...] | None
    seeds: tuple[int, ...]
    resume: bool
    show_views: int
    frozen: bool
    named: tuple[str, ...]
    own: Any = None

    def study(self, name: str, vary: Any, protocol: str | None = None, **options: Any) -> "Study":
        """The study of these settings and seeds.

        Args:
            name: Its name.
            vary: What varies.
            protocol: Its protocol. Defaults to `None`: what the data set is for.
            **options: Further arguments of `Study`.

        Returns:
            A `Study`.

        Raises:
            ValueError: If it cannot be, or a flag is for another kind of data set.

        Example:
        ```python
        from keras_clce.experiments.flags import define, parse
        asked = parse(define({}, None), ["mine", "--seeds=0,1"])
        asked.study("mine", {"temperature": [0.1, 0.5]}).seeds  # (0, 1)
        ```
        """
        from keras_clce.experiments.study import Study

        study = Study(
            name, vary, self.seeds, self.settings, protocol, self.frozen, self.given, **options
        )
        known = (None, study.protocol)
        others = [n for n in sorted(self.given) if fields()[n].about.protocol not in known]
        if others:
            raise ValueError(
                f"--{others[0]} is for few-shot data sets. Received: "
                f"dataset={self.settings.dataset}"
            )
        return study

    def compared_losses(self) -> tuple[str, ...]:
        """The losses that were named, else those that find something to train.

        Example:
        ```python
        from keras_clce.experiments.flags import define, parse
        parse(define({}, None), ["mine"]).compared_losses()  # ("ce", "clce")
        ```
        """
        from keras_clce.experiments.fitted import fit_losses

        return self.losses or fit_losses(self.settings)

    def refuse(self, *names: str) -> None:
        """Refuse settings that a study varies by itself, but for those of `--settings`.

        Args:
            *names: Names of the settings; the loss is given by `--losses`.

        Raises:
            ValueError: If one was given.

        Example:
        ```python
        from keras_clce.experiments.flags import define, parse
        parse(define({}, None), ["mine", "--epochs=2"]).refuse("temperature")
        ```
        """
        from keras_clce.experiments.paper_settings import named_settings

        values = {name: getattr(self.settings, name) for name in self.given}
        if self.losses:
            values["loss"] = ",".join(self.losses)
        # What a name of --settings brings is a starting point that a study may vary.
        brought = named_settings(self.named) if self.named else {}
        for name in names:
            flag = "losses" if name == "loss" else name
            if name in values and flag not in brought:
                raise ValueError(
                    f"--{flag} is what this study varies by itself. Received: {flag}={values[name]}"
                )
