r"""Write the embeddings of photographs to a file that recipes/search.py searches.

    python recipes/embed.py --model RUN/model.keras --images my_photographs --output mine.npz
    python recipes/search.py --query photograph.jpg --index mine.npz

The file has `embeddings` (unit rows, float32), `files` (within `folder`), and where the photographs
lie in class folders `labels` and `class_names`; then `recipes/embeddings.py --embeddings mine.npz`
measures them. It remembers its model by path and by a fingerprint of the weights. Embeddings go to
the disk as they come, so that memory does not grow with their number; the file is there when it is
whole.
"""

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path

from keras_clce.experiments import PhotographFlags, load_named_model, tool_command, tool_flag

SHOWN_ERRORS = 10


def is_new_file(path: str) -> bool:
    """Whether a file of embeddings can be written there."""
    return path.endswith(".npz") and Path(path).expanduser().parent.is_dir()


@dataclasses.dataclass(frozen=True, kw_only=True)
class EmbedFlags(PhotographFlags):
    """Where embeddings go."""

    output: str = tool_flag(
        None,
        "The file to write, .npz.",
        "Results",
        checks=((is_new_file, "must end in .npz, in a folder that is there"),),
    )


def embed(asked: EmbedFlags) -> None:
    """Embed, write, and print what was written."""
    from keras_clce.inference import embed_images

    model = load_named_model(asked.model)
    print(f"Model:    {asked.model}")
    start = time.perf_counter()
    done = embed_images(
        model,
        asked.images,
        Path(asked.output).expanduser(),
        asked.batch_size,
        asked.image_size,
        asked.limit,
        asked.model,
    )
    rate = done.count / (time.perf_counter() - start)
    skipped = len(done.unreadable)
    print(f"Read:     {done.count} of {done.count + skipped} files, {rate:.3g} a second")
    for row in done.unreadable[:SHOWN_ERRORS]:
        print(f"Skipped:  {row.name}: {row.error}")
    if skipped > SHOWN_ERRORS:
        print(f"          … and {skipped - SHOWN_ERRORS} more")
    classes = f"{len(done.class_names)} from class folders" if done.class_names else "not known"
    print(f"Classes:  {classes}")
    print(f"Written:  {done.path}, {done.count} embeddings of {done.dim} numbers")
    print(f"Search:   python recipes/search.py --query PHOTOGRAPH --index {done.path}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Embed photographs as flags say."""
    tool_command(__doc__, EmbedFlags, embed, arguments)


if __name__ == "__main__":
    main()
