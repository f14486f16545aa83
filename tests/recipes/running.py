"""How the tests run the transfer recipe in their own process."""

import transfer
from absl import flags

FLAGS = flags.FLAGS


def parse(*arguments):
    for flag in FLAGS.flags_by_module_dict()["recipe_flags"]:
        flag.unparse()
    FLAGS(["transfer", *arguments])


def run(*arguments):
    parse(*arguments)
    transfer.main(["transfer"])


def flags_for(backbone, output, *more):
    return (
        f"--backbone={backbone}",
        "--image_size=16",
        "--batch_size=32",
        "--epochs=2",
        "--warmup_epochs=0",
        f"--output_dir={output}",
        *more,
    )


def only(folder, pattern):
    (path,) = folder.rglob(pattern)
    return path
