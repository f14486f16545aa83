"""The recipe export, as a user calls it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from inference_files import colours  # noqa: F401
from keras_clce.recipes import export
from recipe_runs import ROOT, environment_alone, run

from keras_clce.inference import EXPORT_FORMATS

pytestmark = pytest.mark.any_backend


def test_export_and_the_printed_program(colours, capsys):  # noqa: F811
    flags = ("--model=model.keras", "--format=onnx", "--output=colours.onnx")
    run(export, *flags, "--quantize=int8", "--images=colours", "--limit=3")
    said = capsys.readouterr().out
    assert "Model:    model.keras, 3 classes\n" in said
    # Half of the nine, and three of the others.
    assert "Images:   ranges from 4, measured on 3 others\n" in said
    assert re.search(r"^float32 +100\.0 % +100\.0 % ", said, re.MULTILINE)
    assert re.search(r"^int8 +100\.0 % +100\.0 % ", said, re.MULTILINE)
    assert json.loads(Path("colours.onnx.json").read_text())["format"] == "onnx"
    program = said.partition("PHOTOGRAPH):\n\n")[2]
    assert len(program.splitlines()) < 35 and "keras" not in program
    Path("use.py").write_text(program)
    hidden = [str(ROOT / "tests" / "hidden_packages.py"), "keras_clce,keras,tensorflow,torch,jax"]
    done = subprocess.run(
        [sys.executable, *hidden, "use.py", "colours/green/1.png"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[1] == "green" and float(done.stdout.split("%")[0]) > 99


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "flag --format must be given"),
        (("--format=onx", "--output=m.onnx"), "--format=onx: must be one of: saved_model, onnx"),
        pytest.param(
            ("--format=torch", "--output=m.pt2"),
            "--format torch needs KERAS_BACKEND=torch",
            marks=pytest.mark.any_backend("tensorflow"),
        ),
        (("--format=onnx", "--output=m.pb"), r"--output must end in \.onnx"),
        (("--format=onnx", "--output=no/m.onnx"), "--output must lie in a folder that is there"),
        (("--format=onnx", "--output=m.onnx", "--quantize=int8"), "--images must be given"),
        (("--format=onnx", "--output=m.onnx", "--images=no*"), r"--images=no\*: must be a folder"),
        (("--format=onnx", "--output=m.onnx", "--images=."), "--images is for quantize='int8'"),
        (("--format=onnx", "--output=m.onnx", "--quantize=int4"), "quantize=int4: must be one of"),
        (("--format=onnx", "--output=m.onnx", "--limit=0"), "--limit=0: must be at least 1"),
        (("--format=onnx", "--output=m.onnx"), r"--model must be a whole \.keras file"),
    ],
)
def test_what_is_wrong_ends_in_one_line(arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("y.keras").write_bytes(b"no model")
    with pytest.raises(SystemExit, match=said) as end:
        run(export, "--model=y.keras", *arguments)
    assert str(end.value).startswith("Error: ") and "\n" not in str(end.value)


def test_formats_of_the_flag_are_those_there_are():
    assert export.FORMATS == EXPORT_FORMATS


def test_help_needs_no_keras(tmp_path):
    hidden = [str(ROOT / "tests" / "hidden_packages.py"), "keras,tensorflow,jax,torch"]
    command = [sys.executable, *hidden, str(ROOT / "recipes" / "export.py"), "--help"]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment_alone(), cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "--quantize" in done.stdout and "saved_model, onnx" in done.stdout
