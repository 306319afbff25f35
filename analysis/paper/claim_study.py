"""The studies of the paper's claims: which space file each searches, and which commands follow."""

from collections.abc import Iterator
from dataclasses import dataclass

Command = tuple[str, ...]


@dataclass(frozen=True)
class ClaimStudy:
    """A question, and the commands that answer it: the space file of the same name is searched and confirmed.

    Args:
        claim: the number of the claim that it is about.
        confirm: arguments of `harness.confirm`, after the name.
        then: modules that are run with the name afterwards, and their further arguments.
        full: needs a GPU.
    """

    name: str
    claim: int
    question: str
    confirm: Command = ()
    then: tuple[Command, ...] = ()
    full: bool = False

    def commands(self) -> Iterator[Command]:
        """Module and arguments of each, in order."""
        yield "harness.search", "--space", f"{self.name}.yaml"
        yield "harness.confirm", self.name, *self.confirm
        for module, *arguments in self.then:
            yield module, self.name, *arguments


CLAIMS = {
    1: "Learned labels regularise clean training",
    2: "Learned labels correct wrong annotations",
    3: "Learned labels capture which classes are alike, and make better teachers",
}

STUDIES = (
    ClaimStudy(
        "digits_class_labels",
        1,
        "Clean digits, 300 images: do class labels learned beside the model beat one-hot labels and label smoothing?",
        ("--top", "1", "--seeds", "20"),
    ),
    ClaimStudy(
        "fashion_class_labels",
        1,
        "2,000 clean images of Fashion-MNIST: the same question.",
        ("--top", "1", "--seeds", "10"),
        then=(("harness.distill",), ("harness.semantics", "--reference", "model")),
    ),
    ClaimStudy(
        "digits_symmetric",
        2,
        "Digits with 40 % of the labels wrong at random: do learned labels beat methods made for wrong labels?",
        ("--top", "3", "--seeds", "10"),
    ),
    ClaimStudy(
        "digits_label_lr_schedule",
        2,
        "The same digits: does a label learning rate that changes in mid-run, as population based training found it, "
        "beat a constant one that was searched with as many epochs?",
        ("--top", "1", "--seeds", "20"),
    ),
    ClaimStudy(
        "fashion_symmetric",
        2,
        "10,000 images of Fashion-MNIST with 40 % of the labels wrong at random: the same question.",
        ("--top", "1", "--seeds", "5"),
    ),
    ClaimStudy(
        "fashion_asymmetric",
        2,
        "The same images, 40 % of those of a class taken for one that looks like it.",
        ("--top", "1", "--seeds", "10"),
    ),
    ClaimStudy(
        "cifar10_clean_full",
        1,
        "CIFAR-10 and a ResNet18: the same question.",
        ("--top", "1", "--seeds", "3"),
        then=(("harness.distill",), ("harness.semantics", "--reference", "votes")),
        full=True,
    ),
    ClaimStudy(
        "cifar10_human_full",
        2,
        "CIFAR-10 as people annotated it, about 40 % of the labels wrong, and a ResNet18.",
        ("--top", "1", "--seeds", "3"),
        full=True,
    ),
)
