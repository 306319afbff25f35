"""Labels as parameters: where they start, how they step, and that they come back from a checkpoint."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from harness.metalabel import (
    ClassLabels,
    ExponentiatedGradient,
    InstanceLabels,
    Parametrisation,
    Simplex,
    Softmax,
    project_onto_simplex,
)

PARAMETRISATIONS = [Simplex(), Softmax(), ExponentiatedGradient()]
CLASSES = torch.tensor([2, 0, 1, 1, 2, 0, 0, 1])


def class_labels(classes: int, smoothing: float, **options: Any) -> ClassLabels:
    return ClassLabels.from_classes(torch.arange(classes), classes, smoothing=smoothing, **options)


def on_the_simplex(labels: Tensor) -> bool:
    return bool((labels >= 0).all()) and torch.allclose(labels.sum(-1), torch.ones(len(labels)), atol=1e-6)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(1, 8), st.integers(1, 9), st.sampled_from([0.1, 1.0, 100.0]), st.integers(0, 2**31))
def test_projection_is_the_nearest_point_of_the_simplex(rows: int, classes: int, spread: float, seed: int) -> None:
    """The nearest point y of a convex set is the one with ⟨x - y, z - y⟩ ≤ 0 for every z in it; corners suffice."""
    torch.manual_seed(seed)
    points = spread * torch.randn(rows, classes, dtype=torch.float64)
    nearest = project_onto_simplex(points)
    assert (nearest >= 0).all()
    torch.testing.assert_close(nearest.sum(-1), torch.ones(rows, dtype=torch.float64))
    corners = torch.eye(classes, dtype=torch.float64)
    slopes = torch.einsum("rc,rkc->rk", points - nearest, corners - nearest[:, None, :])
    assert (slopes <= 1e-12 * max(spread, 1.0) ** 2 * classes).all()
    torch.testing.assert_close(project_onto_simplex(nearest), nearest)


@pytest.mark.parametrize("parametrisation", PARAMETRISATIONS)
def test_labels_start_from_one_hot_smoothed_or_given_ones(parametrisation: Parametrisation) -> None:
    one_hot = F.one_hot(CLASSES, 3).float()
    given_labels = torch.randn(8, 3).softmax(-1)
    starts = [
        (InstanceLabels.from_classes(CLASSES, 3, parametrisation=parametrisation), one_hot),
        (
            InstanceLabels.from_classes(CLASSES, 3, smoothing=0.3, parametrisation=parametrisation),
            0.7 * one_hot + 0.1,
        ),
        (InstanceLabels.from_soft(given_labels, parametrisation=parametrisation), given_labels),
        (class_labels(3, 0.6, parametrisation=parametrisation), 0.4 * torch.eye(3) + 0.2),
    ]
    for labels, expected in starts:
        if isinstance(parametrisation, Softmax):
            expected = (1 - parametrisation.floor) * expected + parametrisation.floor / 3
        torch.testing.assert_close(labels.as_tensor(), expected)


@pytest.mark.parametrize("parametrisation", PARAMETRISATIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_step_moves_only_the_rows_it_names_and_stays_on_the_simplex(
    parametrisation: Parametrisation, dtype: torch.dtype
) -> None:
    index = torch.tensor([6, 1, 3])
    classes = CLASSES.to(index.device)
    labels = InstanceLabels.from_classes(classes, 3, parametrisation=parametrisation, dtype=dtype, momentum=0.5)
    before = labels.as_tensor()
    for _ in range(3):
        labels.update(index, torch.randn(3, 3), label_lr=0.2, scale=2.0)
    after = labels.as_tensor()
    moved = (after != before).any(-1)
    assert set(moved.nonzero().flatten().tolist()) == {1, 3, 6}
    assert on_the_simplex(after)
    assert labels.rows(index).dtype == torch.float32
    assert torch.equal(labels.rows(index), after[index])


def test_a_projected_step_is_the_formula_of_its_docstring() -> None:
    start = torch.tensor([[0.5, 0.3, 0.2], [0.2, 0.2, 0.6]])
    labels = InstanceLabels.from_soft(start, momentum=0.5, decay=0.1)
    first, second = torch.randn(1, 3), torch.randn(1, 3)
    index = torch.tensor([1])
    labels.update(index, first, label_lr=0.01, scale=3.0)
    labels.update(index, second, label_lr=0.01, scale=3.0)

    p0 = start[1:]
    p1 = project_onto_simplex(p0 - 0.01 * 3 * first)
    p2 = project_onto_simplex(p1 + 0.1 * (p0 - p1) - 0.01 * (0.5 * 3 * first + 3 * second))
    torch.testing.assert_close(labels.rows(index), p2)


def test_a_step_in_logits_follows_the_gradient_through_the_softmax() -> None:
    labels = InstanceLabels.from_soft(torch.tensor([[0.5, 0.3, 0.2]]), parametrisation=Softmax())
    logits = labels.rows(torch.tensor([0])).log().requires_grad_()
    gradient = torch.randn(1, 3)
    (pulled,) = torch.autograd.grad((logits.softmax(-1) * gradient).sum(), logits)
    labels.update(torch.tensor([0]), gradient, label_lr=0.7, scale=1.0)
    torch.testing.assert_close(labels.as_tensor(), (logits - 0.7 * pulled).softmax(-1).detach())


def test_exponentiated_steps_multiply_each_entry_and_add_up() -> None:
    labels = InstanceLabels.from_soft(torch.tensor([[0.5, 0.3, 0.2]]), parametrisation=ExponentiatedGradient())
    start, index = labels.as_tensor(), torch.tensor([0])
    first, second = 5 * torch.randn(1, 3), 5 * torch.randn(1, 3)
    labels.update(index, first, label_lr=0.7, scale=2.0)
    labels.update(index, second, label_lr=0.7, scale=2.0)
    multiplied = start * (-0.7 * 2.0 * (first + second)).exp()
    torch.testing.assert_close(labels.as_tensor(), multiplied / multiplied.sum())


def test_class_labels_move_by_the_mean_over_a_class_in_a_balanced_batch() -> None:
    labels = class_labels(3, 0.5)
    classes = torch.tensor([0, 1, 2, 0, 1, 2])
    gradient = 0.01 * torch.randn(6, 3)
    before, scale = labels.as_tensor(), 6 / 0.1
    labels.update(classes, gradient, label_lr=0.02, scale=scale)
    means = torch.stack([gradient[classes == c].mean(0) for c in range(3)])
    torch.testing.assert_close(labels.as_tensor(), project_onto_simplex(before - 0.02 * scale * means))


@pytest.mark.parametrize(
    "options", [{}, {"momentum": 0.9, "decay": 0.1}, {"parametrisation": Softmax(), "momentum": 0.5}]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_saved_labels_go_on_bit_for_bit(options: dict[str, Any], dtype: torch.dtype) -> None:
    def fresh() -> InstanceLabels:
        return InstanceLabels.from_classes(CLASSES, 3, smoothing=0.2, dtype=dtype, **options)

    gradients = [torch.randn(8, 3) for _ in range(4)]
    index = torch.randperm(8)
    straight, first, second = fresh(), fresh(), fresh()
    for gradient in gradients:
        straight.update(index, gradient, label_lr=0.05, scale=1.0)
    for gradient in gradients[:2]:
        first.update(index, gradient, label_lr=0.05, scale=1.0)
    state = first.state_dict()
    first.update(index, gradients[3], label_lr=1.0, scale=1.0)  # must not reach what was saved
    second.load_state_dict(state)
    for gradient in gradients[2:]:
        second.update(index, gradient, label_lr=0.05, scale=1.0)
    assert torch.equal(second.as_tensor(), straight.as_tensor())


def test_labels_are_not_loaded_into_others_of_another_kind() -> None:
    saved = InstanceLabels.from_classes(CLASSES, 3, momentum=0.9).state_dict()
    with pytest.raises(ValueError, match="velocity: expected none, got"):
        InstanceLabels.from_classes(CLASSES, 3).load_state_dict(saved)
    with pytest.raises(ValueError, match=r"table: expected \[3, 3\], got \[8, 3\]"):
        class_labels(3, 0.0).load_state_dict({"table": saved["table"]})


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (lambda: InstanceLabels.from_classes(CLASSES, 2), r"classes: expected class indices from 0 to 1, got 0 to 2"),
        (lambda: InstanceLabels.from_classes([2, 0, 1], 3), r"classes: expected int64 class indices .*, got list"),
        (lambda: InstanceLabels.from_classes(CLASSES.byte(), 3), r"got torch.uint8 of shape \[8\]; pass .*long\(\)"),
        (lambda: InstanceLabels.from_classes(CLASSES[:, None], 3), r"got torch.int64 of shape \[8, 1\]"),
        (lambda: InstanceLabels.from_classes(CLASSES[:0], 3), r"got torch.int64 of shape \[0\]"),
        (lambda: InstanceLabels.from_soft([[0.5, 0.5]]), r"labels: expected a tensor, got list"),
        (lambda: InstanceLabels.from_classes(CLASSES, 3, smoothing=1.5), r"smoothing: expected a fraction"),
        (lambda: InstanceLabels.from_classes(CLASSES, 3, momentum=1.0), r"momentum: expected a fraction"),
        (lambda: InstanceLabels.from_classes(CLASSES, 3, decay=-0.1), r"decay: expected a fraction"),
        (lambda: InstanceLabels.from_classes(CLASSES, 3, dtype=torch.float16), r"dtype: expected torch.float32 or"),
        (lambda: InstanceLabels.from_soft(torch.ones(4, 3)), r"labels: expected every row on the simplex"),
        (lambda: InstanceLabels.from_soft(CLASSES), r"labels: expected floating soft labels"),
        (lambda: Softmax(floor=0.0), r"floor: expected a fraction"),
    ],
)
def test_a_bad_start_is_refused(start: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        start()


def test_labels_are_shown_in_one_line() -> None:
    labels = InstanceLabels.from_classes(CLASSES, 3, momentum=0.9, dtype=torch.bfloat16)
    assert repr(labels) == "InstanceLabels(8 × 3, Simplex(), momentum=0.9, decay=0.0, dtype=bfloat16)"
    assert repr(ExponentiatedGradient(floor=0.1)) == "ExponentiatedGradient(floor=0.1)"


def sharpened(logits: Tensor, sharpness: float) -> Tensor:
    """p^τ over its sum."""
    powers = logits.double().softmax(-1) ** sharpness
    return (powers / powers.sum(-1, keepdim=True)).float()


@pytest.mark.parametrize("parametrisation", PARAMETRISATIONS)
@pytest.mark.parametrize("sharpness", [1.0, 2.5, 0.4])
def test_instance_labels_follow_by_a_moving_average_of_predictions(
    parametrisation: Parametrisation, sharpness: float
) -> None:
    """Equation (3) of self-adaptive training with α = 1 - γ: t ← α t + (1 - α) p."""
    labels = InstanceLabels.from_classes(CLASSES, 3, smoothing=0.2, parametrisation=parametrisation)
    before, index = labels.as_tensor(), torch.tensor([6, 1, 3])
    first, second = 3 * torch.randn(3, 3), 3 * torch.randn(3, 3)
    for logits in (first, second):
        labels.follow(index, logits, rate=0.3, sharpness=sharpness)
    expected = 0.7 * before[index] + 0.3 * sharpened(first, sharpness)
    expected = 0.7 * expected + 0.3 * sharpened(second, sharpness)
    after = labels.as_tensor()
    torch.testing.assert_close(after[index], expected)
    moved = (after != before).any(-1).nonzero().flatten().tolist()
    assert moved == [1, 3, 6]
    assert on_the_simplex(after)


@pytest.mark.parametrize("parametrisation", PARAMETRISATIONS)
def test_labels_that_the_caller_has_need_not_be_read_again(parametrisation: Parametrisation) -> None:
    own, given_labels = (
        InstanceLabels.from_classes(CLASSES, 3, smoothing=0.2, parametrisation=parametrisation) for _ in range(2)
    )
    index, logits = torch.tensor([6, 1, 3]), torch.randn(3, 3)
    labels = given_labels.rows(index)
    kept = labels.clone()
    own.follow(index, logits, rate=0.3)
    given_labels.follow(index, logits, rate=0.3, labels=labels)
    assert torch.equal(own.table, given_labels.table)
    assert torch.equal(labels, kept)


@pytest.mark.parametrize("parametrisation", PARAMETRISATIONS)
def test_at_a_rate_of_one_a_label_is_the_last_prediction(parametrisation: Parametrisation) -> None:
    """Also where a prediction rounds to 0, which has no logit; a label step and a decay can still move it."""
    labels = InstanceLabels.from_classes(CLASSES, 3, parametrisation=parametrisation, decay=0.5)
    by_class = class_labels(3, 0.0, parametrisation=parametrisation, decay=0.5)
    logits = torch.tensor([[400.0, 0.0, -400.0], [0.1, 0.2, 0.3], [5.0, -3.0, 1.0]])
    index = torch.tensor([0, 4, 2])
    labels.follow(index, torch.randn(3, 3), rate=1.0)
    labels.follow(index, logits, rate=1.0)
    torch.testing.assert_close(labels.rows(index), logits.softmax(-1))
    by_class.follow(torch.arange(3), logits, rate=1.0, class_sizes=torch.tensor([9, 5, 7]))
    torch.testing.assert_close(by_class.as_tensor(), logits.softmax(-1))
    for table, rows in ((labels, index), (by_class, torch.arange(3))):
        table.update(rows, torch.randn(3, 3), label_lr=0.1, scale=1.0)
        assert on_the_simplex(table.as_tensor())


@pytest.mark.parametrize("parametrisation", PARAMETRISATIONS)
def test_labels_that_do_not_move_stay(parametrisation: Parametrisation) -> None:
    labels = InstanceLabels.from_classes(CLASSES, 3, smoothing=0.2, parametrisation=parametrisation)
    before, moving = labels.as_tensor(), torch.tensor([True, False, True])
    labels.follow(torch.tensor([6, 1, 3]), torch.randn(3, 3), rate=0.5, moving=moving)
    after = labels.as_tensor()
    assert set((after - before).abs().amax(-1).gt(1e-6).nonzero().flatten().tolist()) == {3, 6}
    by_class = class_labels(3, 0.3, parametrisation=parametrisation)
    start, logits = by_class.as_tensor(), torch.randn(3, 3)
    by_class.follow(
        torch.tensor([0, 0, 2]), logits, rate=0.5, class_sizes=torch.full((3,), 1), moving=torch.tensor([1, 0, 0]) > 0
    )
    torch.testing.assert_close(by_class.as_tensor()[0], (start[0] + logits[0].softmax(-1)) / 2)
    torch.testing.assert_close(by_class.as_tensor()[1:], start[1:])


@pytest.mark.parametrize("parametrisation", PARAMETRISATIONS)
def test_class_labels_follow_the_mean_prediction_of_their_images(parametrisation: Parametrisation) -> None:
    labels = class_labels(3, 0.3, parametrisation=parametrisation)
    start, logits, classes = labels.as_tensor(), 3 * torch.randn(6, 3), torch.tensor([2, 0, 2, 2, 0, 2])
    labels.follow(classes, logits, rate=0.3, sharpness=2.0, class_sizes=torch.tensor([8, 5, 4]))
    targets = sharpened(logits, 2.0)
    for c, kept in ((0, 0.7 ** (2 / 8)), (2, 0.7)):  # of class 2 the batch holds all
        expected = kept * start[c] + (1 - kept) * targets[classes == c].mean(0)
        torch.testing.assert_close(labels.as_tensor()[c], expected)
    torch.testing.assert_close(labels.as_tensor()[1], start[1])


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(1, 24), st.sampled_from([0.02, 0.3, 0.9, 1.0]), st.integers(0, 2**31))
def test_an_epoch_replaces_the_same_fraction_of_a_label_in_batches_of_any_size(
    batch: int, rate: float, seed: int
) -> None:
    """γ is per epoch, for both kinds of table: where the predictions stay, only the epochs count."""
    torch.manual_seed(seed)
    classes = torch.randint(3, (24,))
    logits_by_class = torch.randn(3, 3)
    by_class, by_instance = class_labels(3, 0.1), InstanceLabels.from_classes(classes, 3, smoothing=0.1)
    sizes, start = classes.bincount(minlength=3), by_class.as_tensor()
    for _ in range(2):
        for index in torch.randperm(24).split(batch):
            logits = logits_by_class[classes[index]]
            by_class.follow(classes[index], logits, rate=rate, class_sizes=sizes)
            by_instance.follow(index, logits, rate=rate)
    kept = (1 - rate) ** 2
    expected = kept * start + (1 - kept) * logits_by_class.softmax(-1)
    present = sizes > 0
    torch.testing.assert_close(by_class.as_tensor()[present], expected[present], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(by_instance.as_tensor(), expected[classes], rtol=1e-4, atol=1e-6)
