"""The studies of the paper's claims: which space file each searches, and which commands follow."""

from collections.abc import Iterator
from dataclasses import dataclass

Command = tuple[str, ...]


@dataclass(frozen=True)
class ClaimStudy:
    """A question, and the commands that answer it: a space file is searched, and the best of it confirmed.

    Args:
        claim: the number of the claim that it is about.
        confirm: arguments of `harness.confirm`, after the name.
        space: the space file, without `.yaml`; default: of the study's name.
        settings: what the study sets otherwise than that file, as KEY=VALUE of `--set`.
        then: modules that are run with the name afterwards, and their further arguments.
        full: needs a GPU.
    """

    name: str
    claim: int
    question: str
    confirm: Command = ()
    then: tuple[Command, ...] = ()
    full: bool = False
    space: str = ""
    settings: tuple[str, ...] = ()

    def commands(self) -> Iterator[Command]:
        """Module and arguments of each, in order."""
        yield "harness.search", "--space", f"{self.space or self.name}.yaml", *self._options()
        yield "harness.confirm", self.name, *self.confirm
        for module, *arguments in self.then:
            yield module, self.name, *arguments

    def _options(self) -> Iterator[str]:
        for setting in (f"study={self.name}", *self.settings) if self.space else ():
            yield from ("--set", setting)


def noise_studies(data: str, seeds: int, question: str, **wrong: str) -> Iterator[ClaimStudy]:
    """A study of the space `data`_noise for each kind of noise; `wrong` says for the question what is wrong then."""
    for noise, words in wrong.items():
        yield ClaimStudy(
            f"{data}_noise_{noise}",
            2,
            question.format(wrong=words),
            ("--top", "1", "--seeds", str(seeds)),
            space=f"{data}_noise",
            settings=(f"noise={noise}",),
        )


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
    *(
        ClaimStudy(
            f"fashion_clean_{name}",
            1,
            f"{images} clean images of Fashion-MNIST{how}: do labels by class, or by image that follow the model, "
            "beat smoothing?",
            ("--top", "1", "--seeds", "10"),
            space="fashion_clean",
            settings=settings,
        )
        for name, images, how, settings in (
            ("2000", "2,000", "", ()),
            ("10000", "10,000", "", ("train_size=10000",)),
            ("augmented", "10,000", ", shifted and mirrored", ("train_size=10000", "augment=crop_flip")),
        )
    ),
    *noise_studies(
        "digits",
        20,
        "Digits with 40 % of the labels wrong{wrong}: do labels that follow the model and take label steps beat "
        "each part of it alone, and the methods made for wrong labels?",
        symmetric=" at random",
        asymmetric=", 40 % of each class taken for one that looks like it",
        pair=", each for the next class",
        instance=" where an image is hard to tell",
    ),
    *noise_studies(
        "fashion",
        10,
        "10,000 images of Fashion-MNIST with 40 % of the labels wrong{wrong}: the same question.",
        symmetric=" at random",
        asymmetric=", 40 % of a class taken for one that looks like it",
    ),
    ClaimStudy(
        "digits_label_lr_schedule",
        2,
        "The same digits: does a label learning rate that changes in mid-run, as population based training found it, "
        "beat a constant one that was searched with as many epochs?",
        ("--top", "1", "--seeds", "20"),
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

EARLIER = (
    "digits_symmetric, labels projected onto the simplex: learned labels 94.0 [93.2, 94.7] at best of three, 3.4 "
    "points below ELR; n = 10.",
    "digits_symmetric, exponentiated gradients (commit 92d1abf61ab3, 2026-11-26): learned labels 94.3 [93.8, "
    "94.7], 2.7 points [1.3, 3.7] below ELR, 97.0 [96.4, 97.6]; n = 10.",
    "digits_noise_symmetric without the baseline following_alone and with narrower ranges of sop (commit 76ea661, "
    "2026-11-27): following 97.8 [97.4, 98.2], following_head 97.4 [96.8, 97.9], learned 94.7 [94.3, 95.0], ELR "
    "96.3 [95.9, 96.8], self- adaptive training 93.9 [93.1, 94.7]; n = 10.",
    "digits_noise_asymmetric with narrower ranges of sop (commit f42f71b, 2026-11-27): following 97.8 [97.4, "
    "98.2], following_head 97.8 [97.3, 98.4], following_alone 97.2 [96.5, 97.8], ELR 97.1 [96.6, 97.6]; n = 10, "
    "the first ten of the seeds that stand above.",
    "fashion_symmetric, a small CNN, labels projected: learned labels 80.4 [79.7, 81.1]; n = 5.",
    "fashion_symmetric, the same CNN, labels as logits: learned labels 82.5 [82.4, 82.6], 0.6 points below label "
    "smoothing [-1.2, 0.5], 83.1 [82.3, 83.8]; n = 5.",
    "fashion_asymmetric, the same CNN, labels projected: learned labels 81.0 [80.3, 81.7]; n = 5.",
    "fashion_asymmetric, the same CNN, labels as logits: learned labels 81.9 [81.6, 82.2], 1.5 points above fine- "
    "tuning [0.8, 2.6]; n = 10.",
)
"""Results of earlier studies, whose spaces are gone: the same data's test parts were opened for these forms before."""
