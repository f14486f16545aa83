"""Files that are whole or absent."""

import json

import pytest

from keras_clce.files import write_atomically, write_json

pytestmark = pytest.mark.any_backend


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "value.json"
    write_json(path, 1)

    def broken(to):
        to.write_text("half")
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_atomically(path, broken)
    assert json.loads(path.read_text()) == 1
    assert list(tmp_path.iterdir()) == [path]
