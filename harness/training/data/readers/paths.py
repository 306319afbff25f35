"""Where the files of data sets are, without torch and without reading them."""

from pathlib import Path

from harness.common.urls import Url, is_url

IDX_SETS = ("MNIST", "FashionMNIST", "KMNIST")
"""Sets published as idx files under the same names; read without torchvision."""

IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)

DEBIAN = {"FashionMNIST": Path("/usr/share/datasets/fashion-mnist")}
"""Where Debian's packages put a set (dataset-fashion-mnist)."""

TEACHING = "logits.npz"
"""What a teacher leaves in the folder of each of its runs."""

IMAGE_ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"}


def idx_folder(name: str, root: Path) -> Path | None:
    """The folder that holds all four files of an idx set, gzipped or not."""
    places = [root / name / "raw", root / name, root, *([DEBIAN[name]] if name in DEBIAN else [])]
    whole = (
        place
        for place in places
        if all((place / file).exists() or (place / f"{file}.gz").exists() for file in IDX_FILES)
    )
    return next(whole, None)


def folder_parts(folder: Path) -> dict[str, Path]:
    """The parts of a folder of images: train, test and trusted by name, or the folder itself as train; or none."""
    named = {name: folder / name for name in ("train", "test", "trusted") if folder_classes(folder / name)}
    if "train" in named:
        return named
    return {"train": folder} if folder_classes(folder) else {}


def folder_classes(part: Path) -> list[str]:
    """The classes of a part: the names of its folders, sorted."""
    return sorted(each.name for each in part.iterdir() if each.is_dir()) if part.is_dir() else []


def teacher_file(teacher: str, seed: int) -> Path:
    """Where a teacher's logits are for the students of a seed; of one in a store, where the copy belongs."""
    folder = Url.parse(teacher).copy if is_url(teacher) else Path(teacher).expanduser()
    return folder / str(seed) / TEACHING
