"""The first step that fails, where steps report from several threads."""

import threading
from collections.abc import Callable

_PATIENCE = 10.0  # seconds; a step that never reports must not hold the error back


class FirstFailure:
    """Raises the error of the first step that failed, whichever thread reports first.

    Keras hands the logs of steps to callbacks in threads, which end in any order where several
    steps wait for the device.

    Example:
    ```python
    steps = FirstFailure()
    steps.begin(0)
    steps.end(0)
    steps.begin(1)
    try:
        steps.end(1, lambda: FloatingPointError("The loss became NaN by step 2."))
    except FloatingPointError as error:
        print(error)
    ```
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.reset()

    def reset(self) -> None:
        """Forget all steps, at the begin of an epoch."""
        self._begun: set[int] = set()
        self._ended: set[int] = set()
        self._failed: dict[int, Callable[[], Exception]] = {}
        self._error: Exception | None = None

    def begin(self, step: int) -> None:
        """Note that a step begins.

        Args:
            step: Its number.
        """
        with self._changed:
            self._begun.add(step)

    def end(self, step: int, make_error: Callable[[], Exception] | None = None) -> None:
        """Note that a step has ended; if it failed, raise the error of the first that did.

        Args:
            step: Its number; of several steps that Keras runs as one, that of the last.
            make_error: Makes the error. Defaults to `None`: the step did not fail.

        Raises:
            Exception: What the `make_error` of the first failed step made.
        """
        with self._changed:
            self._ended.add(step)
            self._changed.notify_all()
            if make_error is None:
                return
            self._failed[step] = make_error
            self._changed.wait_for(lambda: self._all_ended_before(step), _PATIENCE)
            if self._error is None:
                self._error = self._failed[min(self._failed)]()
        raise self._error

    def _all_ended_before(self, step):
        begun = sum(other <= step for other in self._begun) - 1
        return sum(other < step for other in self._ended) >= begun
