r"""Show a saved model on a page: drop a photograph, see its class and similar photographs.

    python recipes/demo.py --model RUN/model.keras
    python recipes/demo.py --model RUN/model.keras --index mine.npz --threshold 0.8

The page has the most probable classes, "none of these" where no probability reaches `--threshold`,
and with `--index` the most similar photographs of a file of recipes/embed.py, or of a folder of
photographs that is embedded first.

It is served on this computer alone; `--host 0.0.0.0` lets others of the network in. Nothing is
shared, counted or loaded from elsewhere; photographs that are given are deleted at the end. What is
no image, or has more than 20 megapixels, is refused before it is decoded. Gradio is needed:
pip install "keras-clce[demo]".
"""

import dataclasses
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from keras_clce.experiments import (
    class_names_flag,
    load_named_model,
    model_flag,
    tool_command,
    tool_flag,
)

if TYPE_CHECKING:
    from keras_clce import CLCEModel
    from keras_clce.inference import EmbeddingIndex

PAGE, PLACE = "Page", "Where it is served"
HERE = ("127.0.0.1", "localhost", "::1")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DemoFlags:
    """The model, what the page says, and where it is served."""

    model: str = model_flag("The model: a .keras file, the folder of a preset or hf://OWNER/NAME.")
    index: str | None = tool_flag(
        None,
        "Known photographs: a .npz file of recipes/embed.py, or a folder of photographs.",
        PAGE,
        checks=((os.path.exists, "must be a file of embeddings or a folder of photographs"),),
    )
    enrolled: str | None = tool_flag(
        None,
        "Enrolled classes in place of the model's own, a .npz file of recipes/enroll.py with its "
        "threshold.",
        PAGE,
        checks=((os.path.isfile, "must be a file of enrolled classes, .npz"),),
    )
    threshold: float = tool_flag(
        0.5, 'Probability below which the answer is "none of these".', PAGE, least=0, most=1
    )
    top_k: int = tool_flag(5, "Classes of an answer.", PAGE, least=1)
    k: int = tool_flag(8, "Similar photographs of an answer.", PAGE, least=1)
    class_names: str | None = class_names_flag(PAGE)
    image_size: int | None = tool_flag(
        None, "Pixels per side, for a model that takes images of any size.", PAGE, least=8
    )
    host: str = tool_flag("127.0.0.1", "Address that it listens on.", PLACE)
    port: int | None = tool_flag(
        None, "Port; the first free one from 7860 if not given.", PLACE, least=1, most=65535
    )


def demo(asked: DemoFlags) -> None:
    """Load, and serve the page until Ctrl-C."""
    from keras_clce.inference import (
        Enrolled,
        PhotographAnswers,
        check_demo,
        launch_demo,
        read_class_names,
    )

    check_demo(asked.host, asked.port)
    model = load_named_model(asked.model)
    names = read_class_names(asked.class_names) if asked.class_names else None
    print(f"Model:    {asked.model}, {model.num_classes} classes")
    index, size = index_of(asked, model) if asked.index else None, asked.image_size
    if index is not None:
        size = size or index.model.get("image_size")
        print(f"Index:    {asked.index}, {len(index)} photographs")
    enrolled = Enrolled.load(asked.enrolled) if asked.enrolled else None
    if enrolled is not None:
        size = size or enrolled.model.get("image_size")
        print(f"Enrolled: {asked.enrolled}, {len(enrolled.class_names)} classes")
    answers = PhotographAnswers(
        model, index, asked.threshold, asked.top_k, asked.k, names, size, enrolled
    )
    if asked.host not in HERE:
        print(f"Open to:  all who reach {asked.host}; without --host this computer alone")
    launch_demo(answers, host=asked.host, port=asked.port)


def index_of(asked: DemoFlags, model: "CLCEModel") -> "EmbeddingIndex":
    """Load the index, or make one of a folder of photographs."""
    from keras_clce.inference import EmbeddingIndex, embed_images

    if os.path.isfile(asked.index):
        return EmbeddingIndex.load(asked.index)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "index.npz")
        made = embed_images(model, asked.index, path, image_size=asked.image_size)
        for row in made.unreadable[:10]:
            print(f"Skipped:  {row.name}: {row.error}")
        return EmbeddingIndex.load(path)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve the page as flags say."""
    tool_command(__doc__, DemoFlags, demo, arguments)


if __name__ == "__main__":
    main()
