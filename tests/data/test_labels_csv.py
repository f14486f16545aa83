"""`labels.csv`: what it may hold, its splits, and what is refused."""

import warnings

import numpy as np
import pytest
from PIL import Image

from keras_clce.data import load_dataset, load_few_shot
from keras_clce.data.class_counts import class_counts
from keras_clce.data.splitting import strata

pytestmark = pytest.mark.any_backend

RIGHT = [f"{n}.png,{'ab'[n % 2]}" for n in range(8)]


def write(folder, rows, header="file,label", encoding="utf-8", images=True):
    """The table, and a small picture for each file, as dark as its number."""
    for number, row in enumerate(rows if images else []):
        path = folder / row.partition(",")[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 9), (number % 250,) * 3).save(path)
    text = "\n".join([header, *rows]) + "\n"
    (folder / "labels.csv").write_bytes(text.encode(encoding))
    return folder


def load(folder, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # The sets are small.
        warnings.filterwarnings("ignore", message=".*fewer than 5 training images")
        return load_dataset("image_folder", image_size=8, data_dir=folder, **options)


def parts_of(data):
    return data.train, data.validation, data.test


def num_images(data):
    return sum(split.num_examples for split in parts_of(data))


def test_single_labels_in_no_class_folders_are_split_as_folders_are(tmp_path):
    rows = [f"all/{number:02}.png,{'owl' if number % 3 else 'bee'}" for number in range(30)]
    data = load(write(tmp_path, rows))
    assert data.class_names == ("bee", "owl")
    assert "by labels.csv: " in data.split_note
    assert "seeded, stratified 70/15/15 % split (seed 0)" in data.split_note
    assert num_images(data) == 30
    for split in parts_of(data):
        images, labels = split.arrays()
        # A third is of the first class, and the label is that of the row.
        assert abs(np.mean(labels == 0) - 1 / 3) < 0.1
        np.testing.assert_array_equal(images[:, 0, 0, 0] % 3 > 0, labels == 1)


def test_the_split_column_under_its_usual_names(tmp_path):
    splits = ["Train"] * 6 + ["VAL", "valid", "Validation", "TEST"]
    rows = [f"{n}.png,{'ab'[n % 2]},{split}" for n, split in enumerate(splits)]
    data = load(write(tmp_path, rows, "File,Label,Split"))
    assert [split.num_examples for split in parts_of(data)] == [6, 3, 1]
    assert "the train/validation/test split of labels.csv" in data.split_note


@pytest.mark.parametrize(
    ("others", "said"),
    [
        (["test"] * 2, "10 % of train held out for validation, stratified (seed 0)"),
        (["val"] * 2, "15 % of train held out for test, stratified (seed 0)"),
        ([], "15 % of train held out for validation and 15 % for test, stratified (seed 0)"),
    ],
)
def test_missing_splits_are_held_out(tmp_path, others, said):
    splits = ["train"] * 20 + others
    rows = [f"{n}.png,{'ab'[n % 2]},{split}" for n, split in enumerate(splits)]
    data = load(write(tmp_path, rows, "file,label,split"))
    assert said in data.split_note
    assert num_images(data) == len(splits)


def test_several_labels(tmp_path):
    labels = ["ant;bee", "bee", " cat ; ant", "", "bee;bee;"]
    rows = [f"{number:02}.png,{labels[number % 5]}" for number in range(40)]
    data = load(write(tmp_path, rows), multi_label=True)
    assert data.class_names == ("ant", "bee", "cat")
    assert "stratified by the rarest label 70/15/15 % split" in data.split_note
    assert "8 images without a label" in data.split_note
    known = np.array([[1, 1, 0], [0, 1, 0], [1, 0, 1], [0, 0, 0], [0, 1, 0]])
    for split in parts_of(data):
        images, found = split.arrays()
        np.testing.assert_array_equal(found, known[images[:, 0, 0, 0] % 5])
        assert found.any(axis=0).all()
    (views, _), rows = next(data.train.view_pairs(4, policy="none").as_numpy_iterator())
    np.testing.assert_array_equal(rows, known[np.rint(views[:, 0, 0, 0]).astype(int) % 5])
    counts = class_counts("image_folder", data_dir=tmp_path, multi_label=True)
    np.testing.assert_array_equal(counts, data.train.labels.sum(axis=0))
    fewer = load(tmp_path, multi_label=True, limit_examples=10)
    assert fewer.train.num_examples == 10 and "10 training images kept" in fewer.split_note


def test_rare_labels_are_left_out(tmp_path):
    rows = [f"{number:02}.png,{'ab'[number % 2]}" for number in range(20)]
    rows += ["x.png,a;rare", "y.png,rare", "z.png,"]
    folder = write(tmp_path, rows)
    with pytest.raises(ValueError, match=r"3 images or more.*rare \(2\)"):
        load(folder, multi_label=True)
    data = load(folder, multi_label=True, drop_small_classes=3)
    assert data.class_names == ("a", "b")
    said = "1 label with fewer than 3 images left out: rare (2); 1 image of these alone left out"
    assert said in data.split_note
    assert num_images(data) == 22


def test_a_stream_of_several_labels(tmp_path, monkeypatch):
    from keras_clce.data import building

    monkeypatch.setattr(building, "MEMORY_LIMIT_BYTES", 100)
    rows = [f"{number:02}.png,{'a;b' if number % 2 else 'b'}" for number in range(20)]
    data = load(write(tmp_path, rows), multi_label=True)
    assert data.train.streams
    (views, _), labels = next(data.train.view_pairs(4, policy="none").as_numpy_iterator())
    np.testing.assert_array_equal(labels[:, 0], np.rint(views[:, 0, 0, 0]) % 2)
    images, labels = data.test.arrays()
    np.testing.assert_array_equal(labels[:, 0], images[:, 0, 0, 0] % 2)


def test_what_spreadsheets_write(tmp_path):
    for name in ["a, b.png", *(f"{number}.png" for number in range(19))]:
        Image.new("RGB", (9, 9)).save(tmp_path / name)
    rows = [
        '"a, b.png",Äpfel',
        "",
        *(f"{n}.png,{'Birnen' if n % 2 else 'Äpfel'}" for n in range(19)),
    ]
    text = "\r\n".join(["file,label", *rows, ""])
    (tmp_path / "labels.csv").write_bytes(text.encode("utf-8-sig"))
    data = load(tmp_path)
    assert data.class_names == ("Birnen", "Äpfel") and num_images(data) == 20


def test_few_shot_classes_of_a_table(tmp_path):
    rows = [f"{number:02}.png,{'abcdefgh'[number % 8]}" for number in range(40)]
    data = load_few_shot("image_folder", image_size=8, data_dir=write(tmp_path, rows))
    names = [name for part in data.class_names.values() for name in part]
    assert sorted(names) == list("abcdefgh") and "classes split by seed 0" in data.split_note
    rows = [f"{row},{'train' if n % 8 < 6 else 'test'}" for n, row in enumerate(rows)]
    write(tmp_path, rows, "file,label,split", images=False)
    data = load_few_shot("image_folder", image_size=8, data_dir=tmp_path)
    assert sorted(data.class_names["test"]) == ["g", "h"]


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        (["0.png,"], "file,label", "a label. .*labels.csv, line 2, file 0.png, with none"),
        (["0.png"], "file,label", "a label. .*line 2, file 0.png"),
        ([",a"], "file,label", "name a file. .*line 2"),
        (["0.png,a", "0.png,b"], "file,label", "one row.*line 3, file 0.png, which line 2"),
        (["0.png,a", "./x/../0.png,b"], "file,label", "line 3, file ./x/../0.png, which line 2"),
        (["../0.png,a"], "file,label", "lie in the folder.*line 2, file ../0.png"),
        (["/0.png,a"], "file,label", "lie in the folder.*line 2, file /0.png"),
        (["0.png,a;b"], "file,label", r"multi_label=True \(--multi_label\).*line 2.*with a, b"),
        (["0.png,a,night"], "file,label,split", "one of train, .*line 2, split night"),
        (["0.png,a"], "file,label,split", "one of train, .*line 2, split missing"),
        (["0.png,a,b"], "file,label", "as many cells as the header.*line 2, with 3 cells"),
        ([], "file,label", "at least one image.*empty"),
        ([], "", "begin with the header file,label.*empty"),
        (["0.png;a"], "file;label", "separated by commas. .*line 1: file;label"),
        (["0.png,a"], "name,class", "begin with the header.*line 1: name,class"),
        (["0.png,a", '1.png,"b'], "file,label", "comma-separated. .*line 3"),
    ],
)
def test_wrong_rows_name_their_line(tmp_path, rows, header, message):
    Image.new("RGB", (9, 9)).save(tmp_path / "0.png")
    write(tmp_path, rows, header, images=False)
    with pytest.raises(ValueError, match=message):
        load(tmp_path)


def test_files_that_are_not_there_and_labels_that_nothing_trains(tmp_path):
    write(tmp_path, RIGHT)
    (tmp_path / "3.png").unlink()
    (tmp_path / "5.png").unlink()
    with pytest.raises(ValueError, match=r"2 that are not: line 5 3.png, line 7 5.png"):
        load(tmp_path)
    rows = ["0.png,a,train", "1.png,b,train", "2.png,c,test", "4.png,a,test"]
    write(tmp_path, rows, "file,label,split")
    (tmp_path / "6.png").unlink()
    (tmp_path / "7.png").unlink()
    with pytest.raises(ValueError, match=r"row of the split train.*c \(line 4\)"):
        load(tmp_path)
    (tmp_path / "labels.csv").write_text("file,label,split\n2.png,c,test\n")
    with (
        pytest.warns(UserWarning, match="does not name them: 3 images"),
        pytest.raises(ValueError, match=r"rows of the split train. .*with test"),
    ):
        load_dataset("image_folder", image_size=8, data_dir=tmp_path)
    write(tmp_path, RIGHT, encoding="utf-16")
    with pytest.raises(ValueError, match=r"must be UTF-8. .*line 1"):
        load(tmp_path)


def test_what_lies_beside_and_what_is_damaged_is_said(tmp_path):
    folder = write(tmp_path, [f"in/{row}" for row in RIGHT])
    for name in ("x.png", "in/y.png", "notes.txt", ".hidden.png"):
        (folder / name).write_bytes((folder / "in/0.png").read_bytes())
    with pytest.warns(UserWarning, match=r"does not name them: 2 images, in.y.png, x.png"):
        load_dataset("image_folder", image_size=8, data_dir=folder)
    (folder / "x.png").unlink()
    (folder / "in/y.png").unlink()
    (folder / "in/7.png").write_bytes(b"no image")
    with pytest.warns(UserWarning, match="Skipped 1 files that are not readable"):
        data = load_dataset("image_folder", image_size=8, data_dir=folder)
    assert num_images(data) == 7
    with pytest.raises(ValueError, match="strict=True and 1 that are not"):
        load(folder, strict=True)
    write(folder, [f"{row},2026" for row in RIGHT], "file,label,year")
    with pytest.warns(UserWarning, match="Not used, columns of .*year"):
        load_dataset("image_folder", image_size=8, data_dir=folder)


def test_a_space_before_a_quote_is_no_part_of_the_label(tmp_path):
    rows = [f'{n}.png, "{"ab"[n % 2]}"' if n < 4 else f"{n}.png,{'ab'[n % 2]}" for n in range(8)]
    assert load(write(tmp_path, rows)).class_names == ("a", "b")


def test_accents_may_be_composed_or_apart(tmp_path):
    composed, apart = "caf\u00e9", "cafe\u0301"
    rows = [f"{n}{apart}.png,{(composed, apart, 'tea')[n % 3]}" for n in range(12)]
    write(tmp_path, rows)
    (tmp_path / "labels.csv").write_text(
        "\n".join(["file,label", *rows]).replace(f"{apart}.", f"{composed}.")
    )
    assert load(tmp_path).class_names == (composed, "tea")


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_split_without_a_readable_image_is_refused(tmp_path, split):
    rows = [f"{row},train" for row in RIGHT] + [f"{n}.png,a,{split}" for n in (8, 9)]
    write(tmp_path, rows, "file,label,split")
    for number in (8, 9):
        (tmp_path / f"{number}.png").write_bytes(b"no image")
    message = rf"at least one readable image.*split {split}.*, with none in 2 files"
    with pytest.warns(UserWarning), pytest.raises(ValueError, match=message):
        load_dataset("image_folder", image_size=8, data_dir=tmp_path)


def test_few_shot_classes_need_rows_to_train_on_and_readable_images(tmp_path):
    rows = [f"{n}.png,{'abcd'[n % 4]},test" for n in range(8)]
    write(tmp_path, rows, "file,label,split")
    with pytest.raises(ValueError, match=r"must have rows of the split train.*with test"):
        load_few_shot("image_folder", image_size=8, data_dir=tmp_path)
    write(tmp_path, [f"{n}.png,{'abcdef'[n % 6]}" for n in range(12)])
    for number in (5, 11):
        (tmp_path / f"{number}.png").write_bytes(b"no image")
    with pytest.warns(UserWarning), pytest.raises(ValueError, match=r"readable image.*any: f"):
        load_few_shot("image_folder", image_size=8, data_dir=tmp_path)


def test_multi_label_is_for_a_table(tmp_path):
    with pytest.raises(ValueError, match=r"`multi_label` is for image_folder with a labels.csv"):
        load_dataset("digits", image_size=8, multi_label=True)
    with pytest.raises(ValueError, match=r"`multi_label` is for image_folder with a labels.csv"):
        load(tmp_path, multi_label=True)
    with pytest.raises(ValueError, match="`limit_per_class` must be None with multi_label"):
        load(write(tmp_path, RIGHT), multi_label=True, limit_per_class=2)


def test_the_rarest_label_of_each_row():
    rows = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0], [1, 1, 1]])
    assert strata(rows).tolist() == [1, 0, 3, 2]
    assert strata(np.array([4, 2])).tolist() == [4, 2]
