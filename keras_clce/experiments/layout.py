"""How a study is shown."""

import dataclasses
from collections.abc import Mapping, Sequence


@dataclasses.dataclass(frozen=True)
class Layout:
    """How a study is shown, where its grid does not say it.

    Args:
        axes: Settings along which the picture shows the runs: one for curves, two for a map, none
            for arms side by side. Defaults to `None`: the numbers that vary, if they are one or
            two.
        panels: Titles of panels by the label of a grid, one panel each. Defaults to none: labels
            are part of a curve's name.
        arms: Words for runs by their name without a seed, as `"clce-inside"`. Defaults to none.
        paper: What the paper reports, in percent, by the same names. Defaults to none.

    Example:
    ```python
    layout = Layout(axes=("batch_size",), panels={"equal-steps": "as many steps each"})
    ```
    """

    axes: Sequence[str] | None = None
    panels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    arms: Mapping[str, str] = dataclasses.field(default_factory=dict)
    paper: Mapping[str, float] = dataclasses.field(default_factory=dict)
