"""Which weights an encoder can start from, as a value; what is said about them follows from it."""

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import cast

from keras_clce.models.checkpoints.keras_weights import KERAS_SUFFIX
from keras_clce.models.checkpoints.tensors import FOLDER_FILES, checkpoint_file

HF_ADDRESS = "hf://USER/NAME"
KAGGLE_ADDRESS = "kaggle://USER/MODEL/keras/NAME"
TENSOR_FILES = (".safetensors", ".pth", ".bin", ".npz", KERAS_SUFFIX)


@dataclasses.dataclass(frozen=True)
class PublicWeights:
    """Public ImageNet weights.

    Args:
        address: Where they lie: an address, or the name of a preset or package.
        kind: What the address is the name of, in words. Defaults to `""`, an address.
        check: Raises where something is not installed that reading them needs. Defaults to `None`:
            nothing is.
    """

    address: str
    kind: str = ""
    check: Callable[[], object] | None = None

    def in_words(self) -> str:
        """Address and what it is."""
        return f"{self.kind} {self.address}".lstrip()


@dataclasses.dataclass(frozen=True)
class Weights:
    """Which weights an encoder can start from.

    Args:
        imagenet: What `weights="imagenet"` takes. Defaults to `None`, there are none.
        files: How the names of files that it reads end. Defaults to none.
        folders: What a folder that it reads holds. Defaults to none.
        addresses: How addresses that it reads look. Defaults to none.
        licence: Licence of the public weights. Defaults to `"Apache-2.0"`.
    """

    imagenet: PublicWeights | None = None
    files: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    licence: str = "Apache-2.0"

    @property
    def public_address(self) -> str:
        """Address of the public weights, where there are any."""
        return cast(PublicWeights, self.imagenet).address

    def in_words(self) -> str:
        """Where weights come from, in short: the public ones first."""
        if self.imagenet:
            return self.imagenet.in_words()
        kinds = [kind for kind, those in (("file", self.files), ("folder", self.folders)) if those]
        return f"a local {' or '.join(kinds)}" if kinds else "random only"

    def paths_in_words(self) -> str:
        """What kinds of file and folder it reads, after an article."""
        kinds = [f"file ({', '.join(self.files)})"] if self.files else []
        kinds += [f"folder ({', or '.join(self.folders)})"] if self.folders else []
        return ", or ".join(kinds)

    def check(self, name: str, weights: str | Path) -> None:
        """Check that a backbone can start from weights of one's own, without reading them.

        Args:
            name: The backbone, for messages.
            weights: Path or address.

        Raises:
            ValueError: If it takes no such weights; the message says which.
            FileNotFoundError: If there is nothing at the path.

        Example:
        ```python
        Weights(files=(".safetensors",)).check("vit_tiny", "vit_tiny.safetensors")
        ```
        """
        if not self.files and not self.folders:
            raise ValueError(
                f"{name} reads no weights; to go on from a saved model give its `.keras` "
                f"path as the backbone. Received: weights={weights!r}"
            )
        if not isinstance(weights, (str, Path)):
            raise ValueError(
                f"`weights` must be None, 'imagenet' or a path. Received: weights={weights!r}"
            )
        scheme = re.match(r"\w+://", str(weights))
        if scheme:
            self._check_scheme(name, weights, scheme[0])
            return
        path = Path(weights)
        if self.folders == FOLDER_FILES:
            # Whose reader says more about what is wrong.
            if not (path.is_file() and path.name.endswith(KERAS_SUFFIX)):
                checkpoint_file(path)
        elif not ((self.files and path.is_file()) or (self.folders and path.is_dir())):
            raise FileNotFoundError(
                f"`weights` must be None, 'imagenet' or, for {name}, the path of a "
                f"{self.paths_in_words()}. Received: weights={str(weights)!r}"
            )

    def _check_scheme(self, name, weights, scheme):
        if any(form.startswith(scheme) for form in self.addresses):
            return
        forms = "".join(f"{form}, " for form in self.addresses)
        raise ValueError(
            f"`weights` must be None, 'imagenet' or, for {name}, {forms}or the path of a "
            f"{self.paths_in_words()}; presets of keras-hub are backbones of their own, "
            f"`hub:ADDRESS`. Received: weights={weights!r}"
        )


NO_WEIGHTS = Weights()


def refuse_weights(name: str, weights: str | Path | None) -> None:
    """Refuse weights for an encoder that brings its own, or starts at random.

    Args:
        name: The encoder.
        weights: What was given.

    Raises:
        ValueError: If it is not `None`.

    Example:
    ```python
    refuse_weights("hub:resnet_18_imagenet", None)
    ```
    """
    if weights is not None:
        raise ValueError(
            f"{name} brings its own weights or none, so `weights` must be None. "
            f"Received: weights={str(weights)!r}"
        )
