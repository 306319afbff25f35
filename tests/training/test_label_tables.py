"""Labels in the tables of a folder: joined to images whatever the dialect and the form of the paths, or refused."""

from collections.abc import Iterable
from pathlib import Path

import pytest
from PIL import Image

from harness.results.sweep_data import example_configs, read_data
from harness.space import parse
from harness.train import main
from harness.training.config.checks import check_config
from harness.training.data.arrays import load_summary
from harness.training.data.class_names import doubtful_names, find_class, sort_names
from harness.training.data.pool import load_pool
from harness.training.data.readers import folder as folder_reader
from harness.training.errors import DataError
from tests.training.data_files import config, pictures

pytestmark = pytest.mark.usefixtures("empty_cache")

NAMES = ("cat", "dog", "fox")
PATHS = [f"train/{name}/{number}.png" for name in NAMES for number in range(4)]
ACCENT = "\N{COMBINING ACUTE ACCENT}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder `pets` of 12 training images and 6 of the test part in three classes."""
    return write_images(
        tmp_path / "pets", [*PATHS, *(f"test/{name}/{number}.png" for name in NAMES for number in (0, 9))]
    )


def write_images(folder: Path, paths: Iterable[str]) -> Path:
    for seed, path in enumerate(paths):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pictures(1, 4, 4, 3, seed=seed)[0]).save(folder / path)
    return folder


def given(folder: Path, **settings: bool) -> dict[str, str]:
    """The images whose given class is not that of their folder, with its name."""
    pool = load_pool(config(f"folder:{folder}", noise="given", **settings))
    assert pool.given is not None
    changed = (pool.given != pool.targets).nonzero().flatten().tolist()
    return {PATHS[i]: pool.class_names[int(pool.given[i])] for i in changed}


def remarks(folder: Path) -> str:
    return "\n".join(folder_reader.read(config(f"folder:{folder}")).remarks)


ROWS = [("train/cat/0.png", "fox"), ("train/dog/3.png", "cat"), ("train/fox/1.png", "fox")]
TABLE = "image,class\n" + "".join(f"{path},{name}\n" for path, name in ROWS)
EXPECTED = {"train/cat/0.png": "fox", "train/dog/3.png": "cat"}

DIALECTS = {
    "plain": TABLE.encode(),
    "no header": TABLE.removeprefix("image,class\n").encode(),
    "byte order mark and Windows line ends": b"\xef\xbb\xbf" + TABLE.replace("\n", "\r\n").encode(),
    "line ends of old macOS": TABLE.replace("\n", "\r").encode(),
    "UTF-16": TABLE.encode("utf-16"),
    "UTF-16, the other order": "\ufeff".encode("utf-16-be") + TABLE.encode("utf-16-be"),
    "semicolons": TABLE.replace(",", ";").encode(),
    "semicolons, declared by Excel": ("sep=;\n" + TABLE.replace(",", ";")).encode(),
    "tabs": TABLE.replace(",", "\t").encode(),
    "quotes and blanks": TABLE.replace(",", '", "').replace("\n", '"\n"').join(['"', ""])[:-1].encode(),
    "blank lines and separators at the end": ("\n\n" + TABLE.replace("\n", ",,\n\n ,\n")).encode(),
    "no line end at the end": TABLE.rstrip().encode(),
    "header in another case and order": "".join(f"{b},{a}\n" for a, b in [("File", "LABEL"), *ROWS]).encode(),
    "header in other words": TABLE.replace("image,class", "Image Path,Category").encode(),
    "classes in another case": TABLE.replace(",fox", ",Fox").encode(),
    "index of pandas": "".join(f"{i},{line}\n" for i, line in zip(["", 0, 1, 2], TABLE.split(), strict=False)).encode(),
    "columns of other facts": TABLE.replace("\n", ",0.5\n").replace("class,0.5", "class,confidence").encode(),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_table_is_read_however_it_was_saved(dialect: str, folder: Path) -> None:
    (folder / "given.csv").write_bytes(DIALECTS[dialect])
    assert given(folder) == EXPECTED
    assert "given.csv: given labels of 3 of 12 training images; the others keep the class of their folder" in remarks(
        folder
    )


PATH_FORMS = {
    "of Windows": "train\\cat\\0.png",
    "with a dot": "./train/cat/0.png",
    "with a dot, of Windows": ".\\train\\cat\\0.png",
    "relative to train/": "cat/0.png",
    "relative to train/, of Windows": "cat\\0.png",
    "from the folder above": "pets/train/cat/0.png",
    "absolute on another machine": "C:\\data\\pets\\train\\cat\\0.png",
    "two slashes": "train//cat/0.png",
    "a way back": "train/dog/../cat/0.png",
}


@pytest.mark.parametrize("form", PATH_FORMS)
def test_a_row_fits_its_image_in_any_form_of_the_path(form: str, folder: Path) -> None:
    (folder / "given.csv").write_text(f"image,class\n{PATH_FORMS[form]},dog\n")
    assert given(folder) == {"train/cat/0.png": "dog"}


def test_paths_may_be_relative_to_the_training_part_whatever_its_name(tmp_path: Path) -> None:
    parts = ("Training/", "test/")
    write_images(tmp_path, [path.replace("train/", part) for part in parts for path in PATHS])
    (tmp_path / "given.csv").write_text(TABLE.replace("train/", ""))
    assert given(tmp_path) == EXPECTED


@pytest.mark.parametrize("absolute", [True, False])
def test_references_are_joined_in_the_same_way_and_may_have_decimal_commas(absolute: bool, folder: Path) -> None:
    start = f"{folder}/" if absolute else ".\\"
    rows = [f'"{start}{path}";0,25;0,5;0,25;' for path in PATHS]
    (folder / "Reference.CSV").write_text("\r\n".join(["Image;DOG;cat;Fox;", *rows]), encoding="utf-8-sig")
    pool = load_pool(config(f"folder:{folder}"))
    assert pool.reference is not None
    assert pool.reference.tolist() == [[0.5, 0.25, 0.25]] * 12


@pytest.mark.parametrize("decomposed", ["the folder", "the table"])
def test_accents_fit_in_either_unicode_form(decomposed: str, tmp_path: Path) -> None:
    forms = {"the folder": ("cafe" + ACCENT, "café"), "the table": ("café", "cafe" + ACCENT)}[decomposed]
    write_images(tmp_path, [f"train/{name}/{number}é.png" for name in (forms[0], "dog") for number in range(8)])
    (tmp_path / "given.csv").write_text(
        f"image,class\ntrain/{forms[1]}/0é.png,dog\ntrain/dog/1e{ACCENT}.png,{forms[1]}\n"
    )
    pool = load_pool(config(f"folder:{tmp_path}"))
    assert pool.class_names == ("café", "dog")
    read = folder_reader.read(config(f"folder:{tmp_path}")).train
    assert read.given is not None
    assert (read.given != read.truth).nonzero()[0].tolist() == [0, 9]


def test_folders_that_differ_in_unicode_form_alone_are_one_class(tmp_path: Path) -> None:
    write_images(tmp_path, [f"train/{name}/{i}.png" for i, name in enumerate(["café", "cafe" + ACCENT, "dog"] * 4)])
    read = folder_reader.read(config(f"folder:{tmp_path}"))
    assert read.class_names == ("café", "dog")
    assert (read.train.truth == 0).sum() == 8
    assert "one class" in "\n".join(read.remarks)


def test_rows_of_test_images_are_counted_and_said(folder: Path) -> None:
    (folder / "given.csv").write_text(TABLE + "test/cat/0.png,fox\ntest/dog/9.png,fox\n")
    assert given(folder) == EXPECTED
    assert "given.csv: rows of 2 images that are not trained on, not used" in remarks(folder)


OTHER_TABLES = ("labels.csv", "given.txt", "given.xlsx", "train/given.csv", "given.csv.gz", "train/votes.JSON")


@pytest.mark.parametrize("name", OTHER_TABLES)
def test_a_table_that_is_not_read_is_said_also_where_it_comes_later(name: str, folder: Path) -> None:
    assert "tables" not in load_summary(config(f"folder:{folder}")).text
    (folder / name).write_text(TABLE)
    text = " ".join(load_summary(config(f"folder:{folder}")).text.split())
    assert f"tables that are not read: {name}; labels are read from given.csv and reference.csv alone" in text


@pytest.mark.parametrize("name", ["Given.CSV", "given.csv", "given.tsv", "REFERENCE.csv"])
def test_a_table_that_is_read_is_not_said_to_be_left(name: str, folder: Path) -> None:
    text = TABLE.replace(",", "\t") if name.endswith("tsv") else TABLE
    (folder / name).write_text(HEAD + "".join(f"{path},1,2,3\n" for path in PATHS) if name.startswith("R") else text)
    (folder / ".given.csv.swp").write_text("")
    assert "tables" not in load_summary(config(f"folder:{folder}")).text


@pytest.mark.parametrize("name", ["given.txt", "train/given.csv", "given_labels.csv", "Given.xlsx"])
def test_where_given_labels_are_asked_for_an_error_names_the_table_that_was_probably_meant(
    name: str, folder: Path
) -> None:
    (folder / name).write_text(TABLE)
    (problem,) = check_config(config(f"folder:{folder}", noise="given"))
    assert problem.endswith(f"or {folder / 'trusted'}, got {folder / name}; save it as given.csv in {folder}")


def test_the_nearest_image_is_one_of_the_part_that_a_table_is_for(folder: Path) -> None:
    write_images(folder, ["test/cat/11.png"])
    for name, nearest in (("cat/11.png", "train/cat/1.png"), ("test/cat/12.png", "train/cat/2.png")):
        (folder / "given.csv").write_text(f"image,class\n{name},dog\n")
        with pytest.raises(DataError, match=f"got {name}; the nearest is {nearest}; correct"):
            load_pool(config(f"folder:{folder}"))
    (folder / "given.csv").unlink()
    (folder / "reference.csv").write_text(HEAD + "test/cat/12.png,1,2,3\n")
    with pytest.raises(DataError, match=r"the nearest is test/cat/11\.png"):
        load_pool(config(f"folder:{folder}"))


def test_every_image_has_to_have_a_row_where_that_is_asked_for(folder: Path) -> None:
    (folder / "given.csv").write_text(TABLE)
    with pytest.raises(
        DataError, match=r"a class for each of 12 training images, got none for 9: train/cat/1.png, train"
    ):
        given(folder, require_given_labels=True)
    (folder / "given.csv").write_text("image,class\n" + "".join(f"{path},fox\n" for path in PATHS))
    assert len(given(folder, require_given_labels=True)) == 8
    assert "given labels of 12 of 12 training images" in remarks(folder)


VOTES = {
    "columns": "image,Ann,Ben,Cy\n{0},dog,fox,dog\n{1},cat,fox,dog\n{2},dog,,\n",
    "rows": "annotator,image,class\na,{0},dog\na,{1},cat\nb,{0},fox\nc,{0},dog\nb,{1},fox\nc,{1},dog\na,{2},dog\n",
}


@pytest.mark.parametrize("form", VOTES)
def test_of_several_annotators_the_majority_counts_and_ties_are_said(form: str, folder: Path) -> None:
    """Of three different classes the first counts: `cat`, that of the folder."""
    (folder / "given.csv").write_text(VOTES[form].format(*PATHS))
    assert given(folder) == {PATHS[0]: "dog", PATHS[2]: "dog"}
    assert "7 votes, the majority counts; images with a tie: 1, of" in remarks(folder)


HEAD = "image,cat,dog,fox\n"
REFUSED = [
    ("given.csv", "train/cat/00.png,cat\n", r"csv:1: .* got train/cat/00.png; the nearest is train/cat/0.png; correct"),
    ("given.csv", TABLE + "train/cow/0.png,cat\ntrain/cow/1.png,cat\n", r"csv:5: .* \(2 such rows of 5\)"),
    ("given.csv", "image,class\ntrain/cat/0.png,cow\n", "csv:2: expected image,class with a class of cat, dog, fox"),
    ("given.csv", "image,class\ntrain/cat/0.png\n", "csv:2: expected image,class with a class of"),
    ("given.csv", "image,class\ntrain/cat/0.png,2\n", "csv:2: expected image,class with a class of"),
    ("given.csv", TABLE + "cat\\0.png,dog\n", r"csv:5: expected one row an image, got a second of .* in line 2\)"),
    ("given.csv", "image,worker,class\ncat/0.png,a,cat\ncat/0.png,b,cat\ncat/0.png,a,dog\n",
     r"csv:4: expected one row an image and annotator, got a second of train/cat/0.png by a \(first in line 2\); keep"),
    ("given.csv", "photo,label\ntrain/cat/0.png,cat\n", "csv:1: expected image,class, got photo,label"),
    ("given.csv", "train/cat/0.png,cat,dog\n", "csv:1: expected image,class, got train/cat/0.png,cat,dog"),
    ("given.csv", "", "given.csv: expected a table, got an empty file"),
    ("given.csv", "image,class\n", "a class for each of 12 training images, got none for 12"),
    ("given.csv", "image,class\ntest/cat/0.png,cat\n", "a class for each of 12 training images, got none for 12"),
    ("given.csv", b"image,class\ncaf\xe9,cat\n", "csv:2: expected text in UTF-8, got the byte 0xe9; save the t"),
    ("given.csv", TABLE.encode("utf-16-le"), "expected text in UTF-8, got bytes of value 0"),
    ("given.csv", 'image,class\n"train/cat/0.png,cat\n', "expected a table, got the error: .*; look at its quotes"),
    ("given.tsv", TABLE, "expected one given.csv, got given.csv, given.tsv; keep one"),
    ("reference.csv", "image,cat,dog\n", "csv:1: expected image,cat,dog,fox, got image,cat,dog; name each"),
    ("reference.csv", "image,cat,dog,fox,cow\n", "csv:1: expected image,cat,dog,fox, got image,cat,dog,fox,cow"),
    ("reference.csv", "image,cat,dog,dog\n", "csv:1: expected image,cat,dog,fox, got"),
    ("reference.csv", HEAD + "train/cat/0.png,1,2\n", "csv:2: expected 3 numbers of 0 or more after the image"),
    ("reference.csv", HEAD + "train/cat/0.png,1,2,-3\n", "csv:2: expected 3 numbers of 0 or more"),
    ("reference.csv", HEAD + "train/cat/0.png,1,2,nan\n", "csv:2: expected 3 numbers of 0 or more"),
    ("reference.csv", HEAD + "train/cat/0.png,0,0,0\n", "csv:2: expected numbers with a positive sum"),
    ("reference.csv", HEAD + "train/cat/0,1,2,3\n", "csv:2: expected the path of an image, got train/cat/0; "),
    ("reference.csv", HEAD + "cat/0.png,1,2,3\n", "a row for each of 12 images of train, got none for train/cat/1"),
    ("reference.csv", HEAD + 2 * "cat/0.png,1,2,3\n", r"csv:3: expected one row an image, .* line 2\); keep one$"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "words"), REFUSED)
def test_a_table_that_does_not_fit_is_refused_in_words(
    name: str, content: str | bytes, words: str, folder: Path
) -> None:
    (folder / "given.csv").write_text(TABLE)
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DataError, match=words) as caught:
        load_pool(config(f"folder:{folder}"))
    assert str(folder) in str(caught.value)


SPACE = """\
study: pets
fixed: {{dataset: "folder:{folder}", noise: given, meta_size: 3, val_size: 3, width: 4, epochs: 1, batch_size: 4}}
arms:
  learned: {{method: learned}}
"""


def test_a_command_trains_on_the_given_labels_and_says_so_or_ends_with_the_row_that_fits_none(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    space = folder.parent / "pets.yaml"
    space.write_text(SPACE.format(folder=folder))
    table = folder / "given.csv"
    wrong = {"cat": "dog", "dog": "fox", "fox": "cat"}
    rows = [f"train\\{name}\\{number}.png;{wrong[name]}" for name in NAMES for number in range(4)]
    table.write_text("\r\n".join(["image;class", *rows]), encoding="utf-8-sig")
    assert main(["--space", str(space)]) == 0
    out = capsys.readouterr().out
    assert "given.csv: given labels of 12 of 12 training images" in out
    assert out.splitlines()[-1].split()[4] == "0.0000", "every given label is wrong"
    assert "not used" not in out
    assert main(["--space", str(space), "--set", "noise=none"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert f"given labels of folder:{folder} are not used, as noise is none; noise: given trains on them" in out
    table.write_text("image;class\ntrain\\cat\\11.png;dog\n")
    assert main(["--space", str(space)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(
        f"{table}:2: expected the path of an image, got train\\cat\\11.png; the nearest is train/cat/1."
    )
    assert said.count("\n") == 1


def test_given_labels_are_used_where_one_of_the_noises_of_a_space_is_given(folder: Path) -> None:
    (folder / "given.csv").write_text("train/cat/0.png,dog\n")
    searched = "{type: categorical, choices: [none, given]}"
    text = SPACE.format(folder=folder).replace(" noise: given,", "") + f"    parameters: {{noise: {searched}}}\n"
    assert not read_data(example_configs(parse(text.replace("{method: learned}", "\n    method: learned"), ""))).unused


def test_two_images_that_a_table_cannot_tell_apart_are_refused_in_words(tmp_path: Path) -> None:
    write_images(tmp_path, ["train/dog/é.png", f"train/dog/e{ACCENT}.png", *PATHS])
    (tmp_path / "given.csv").write_text(TABLE)
    with pytest.raises(DataError, match=r"got two images .* whose names differ in their Unicode form alone"):
        load_pool(config(f"folder:{tmp_path}"))


def test_names_that_are_numbers_stand_in_their_order() -> None:
    assert sort_names(["10", "2", "1", "2"]) == ("1", "2", "10")
    assert sort_names(["10", "2", "b"]) == ("10", "2", "b")
    assert [find_class(text, ("1", "2", "10")) for text in ("10", "2.0", " 1 ", "0", "1.5")] == [2, 1, 0, None, None]


def test_names_that_may_be_a_slip_are_said() -> None:
    assert doubtful_names(["cat", "dog"]) == []
    assert doubtful_names(["Cat", "cat", "dog ", "fox"]) == [
        "classes whose names differ in case or blanks alone: 'Cat' and 'cat'",
        "classes whose names begin or end with blanks: 'dog '",
    ]
    assert find_class("CAT", ("Cat", "cat", "dog")) is None
    assert find_class("cat", ("Cat", "cat", "dog")) == 1
