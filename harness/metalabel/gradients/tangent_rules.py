"""Rules for how a tangent passes one recorded operation, for the operations on which networks spend their time.

A rule takes a node of the autograd graph, which holds what the operation saved for its backward pass, and the tangents
of its differentiable arguments (None for zero; at least one is not None). It returns the tangent of the result. Each
rule rests on one of four facts.

    linear in each argument    f(x, w) → f(ẋ, w) + f(x, ẇ)                      products, convolutions, views, means
    diagonal Jacobian          J = Jᵀ, and node(ẋ) = Jᵀẋ is the fused kernel    ReLU, GELU, dropout, …
    symmetric up to a scale    J = D S, Jᵀ = S D with D a diagonal              normalisations
    a choice of entries        the same entries of ẋ                            max pooling

Operations without a rule take the general, slower path of `pushforward`.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from harness.metalabel.torch_internals import Node, result_metadata, saved, saved_or_none

aten = torch.ops.aten

Tangent = Tensor | None  # None stands for zero
Tangents = Sequence[Any]  # of a node's arguments: tensors, or None
TangentRule = Callable[[Node, Tangents], Tangent]


class NoForwardRule(ValueError):
    """An operation of the model through which no tangent can be pushed."""


def _add_tangents(first: Tangent, second: Tangent) -> Tangent:
    if first is None or second is None:
        return second if first is None else first
    return first + second


def _product_rule(
    multiply: Callable[..., Tensor], first: Any, second: Any, first_tangent: Tangent, second_tangent: Tangent
) -> Tangent:
    """The tangent of a bilinear `multiply(first, second)`."""
    return _add_tangents(
        None if first_tangent is None else multiply(first_tangent, second),
        None if second_tangent is None else multiply(first, second_tangent),
    )


def _as_result(node: Node, tangent: Tangent) -> Tangent:
    """The tangent in the result's shape and dtype, for an argument that was broadcast or promoted."""
    result = result_metadata(node)[0]
    return None if tangent is None else tangent.to(result.dtype).expand(result.shape)


def _addmm(node: Node, tangents: Tangents) -> Tangent:
    """β b + α x w: the sum β ḃ + α ẋ w + α x ẇ, each product added as it is made."""
    bias, left, right = tangents
    alpha, beta = saved(node, "alpha", "beta")
    total = bias if bias is None or beta == 1 else bias * beta
    for a, b in ((left, saved(node, "mat2")), (saved(node, "mat1"), right)):
        if a is None or b is None:
            continue
        if total is None:
            total = torch.mm(a, b) if alpha == 1 else torch.mm(a, b) * alpha
        else:
            total = torch.addmm(total, a, b, alpha=alpha)
    return _as_result(node, total) if total is bias else total


def _matmul(node: Node, tangents: Tangents, add_product: Callable[..., Tensor]) -> Any:
    """x w: ẋ w + x ẇ; `add_product` adds a product to its first argument in place."""
    left, right = tangents
    if right is None:
        return left @ saved(node, "mat2")
    total = saved(node, "self") @ right
    return total if left is None else add_product(total, left, saved(node, "mat2"))


def _convolution(node: Node, tangents: Tangents) -> Tangent:
    image, weight, bias = tangents
    form = saved(node, "stride", "padding", "dilation", "transposed", "output_padding", "groups")
    total: Tangent = None
    if weight is not None:
        total = torch.convolution(saved(node, "input"), weight, bias, *form)
    elif bias is not None:
        total = _as_result(node, bias.view(-1, *[1] * len(form[0])))
    if image is None:
        return total
    through = torch.convolution(image, saved(node, "weight"), None, *form)
    return through if total is None else through.add_(total)


def _batch_norm(node: Node, tangents: Tangents) -> Tangent:
    """y = γ x̂ + β with x̂ = r(x - m), m and r the batch's mean and inverse deviation:

        ẏ = γ r (ẋ - ⟨ẋ⟩ - x̂ ⟨x̂ ẋ⟩) + γ̇ x̂ + β̇  =  a ẋ + (k r) (x - m) + c,
        a = γ r,   k = γ̇ - a ⟨x̂ ẋ⟩,   c = β̇ - a ⟨ẋ⟩.

    The backward kernel computes the two means, for its weight and bias; the middle term is a BatchNorm in eval mode.
    That is one reduction and two elementwise passes; the derivative term by term takes eight. In eval mode m and r are
    constants, and both means are absent.
    """
    tangent, weight_tangent, bias_tangent = tangents
    x, weight, training = saved(node, "input", "weight", "training")
    eps = saved_or_none(node, "epsilon")
    eps = saved(node, "eps") if eps is None else eps
    if training:
        mean, inverse = saved(node, "result1", "result2")
    else:
        mean, inverse = saved(node, "running_mean"), (saved(node, "running_var") + eps).rsqrt()
    slope = torch.zeros_like(mean) if weight_tangent is None else weight_tangent
    shift = torch.zeros_like(mean) if bias_tangent is None else bias_tangent
    scale = inverse if weight is None else weight * inverse
    if training and tangent is not None:
        unit = torch.ones_like(mean) if weight is None else weight  # CUDA's kernel gives the means only with a weight
        _, correlation, total = aten.native_batch_norm_backward.default(
            tangent, x, unit, None, None, mean, inverse, True, eps, [False, True, True]
        )
        count = x.numel() // x.shape[1]
        slope = slope - scale * (correlation / count)
        shift = shift - scale * (total / count)
    rest = torch.batch_norm(x, slope * inverse, shift, mean, torch.ones_like(mean), False, 0.0, 0.0, False)
    if tangent is None:
        return rest
    return rest.addcmul_(tangent, scale.to(rest.dtype).view(1, -1, *[1] * (x.dim() - 2)))


def _layer_norm(node: Node, tangents: Tangents) -> Tangent:
    """ẏ = γ S ẋ + γ̇ x̂ + β̇; S is symmetric, so the backward kernel without a weight applies it."""
    tangent, weight_tangent, bias_tangent = tangents
    x, weight, shape = saved(node, "input", "weight", "normalized_shape")
    mean, inverse = saved(node, "result1", "result2")
    total: Tangent = None
    if tangent is not None:
        total = aten.native_layer_norm_backward(
            tangent.contiguous(), x, shape, mean, inverse, None, None, [True, False, False]
        )[0]
        total = total if weight is None else total * weight
    if weight_tangent is not None:
        total = _add_tangents(total, (x - mean).mul_(inverse).mul_(weight_tangent).to(x.dtype))
    return _as_result(node, _add_tangents(total, bias_tangent))


def _add(node: Node, tangents: Tangents, sign: int = 1) -> Tangent:
    """x ± α y: ẋ ± α ẏ."""
    first, second = tangents
    factor = sign * saved(node, "alpha")
    if second is not None and factor != 1:
        second = second * factor
    return _as_result(node, _add_tangents(first, second))


def _mul(node: Node, tangents: Tangents) -> Tangent:
    return _as_result(node, _product_rule(torch.mul, *saved(node, "self", "other"), *tangents))


def _attention(node: Node, tangents: Tangents) -> Tangent:
    """o = P v with P = softmax(S), S = c q kᵀ + mask: ȯ = Ṗ v + P v̇ with Ṗ = P ∘ (Ṡ - ⟨P, Ṡ⟩).

    The fused kernels save no P, and have no differentiable backward formula: P is computed again.
    """
    if saved(node, "dropout_p"):
        raise NoForwardRule(
            f"{node.name()} has no forward-mode rule with dropout inside the fused attention; "
            "use torch.nn.attention.sdpa_kernel(SDPBackend.MATH) around the model"
        )
    query, key, value = saved(node, "query", "key", "value")
    query_tangent, key_tangent, value_tangent = tangents[:3]
    if (shared := query.shape[-3] // key.shape[-3]) > 1:  # grouped queries: heads share a key and a value
        key, value, key_tangent, value_tangent = (
            heads if heads is None else heads.repeat_interleave(shared, dim=-3)
            for heads in (key, value, key_tangent, value_tangent)
        )
    scale = query.shape[-1] ** -0.5 if saved(node, "scale") is None else saved(node, "scale")

    def score(query: Tensor, key: Tensor) -> Any:
        return query @ key.mT * scale

    scores = score(query, key)
    for name in ("attn_mask", "attn_bias"):
        if (mask := saved_or_none(node, name)) is not None:
            scores = scores + mask
    if saved(node, "is_causal"):
        later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(later, float("-inf"))
    weights = scores.softmax(dim=-1)
    tangent = _product_rule(score, query, key, query_tangent, key_tangent)
    if tangent is not None:
        tangent = weights * (tangent - (weights * tangent).sum(dim=-1, keepdim=True))
    return _product_rule(torch.matmul, weights, value, tangent, value_tangent)


def _max_pool(node: Node, tangents: Tangents) -> Any:
    chosen = saved(node, "result1")
    return tangents[0].flatten(-2).gather(-1, chosen.flatten(-2)).view_as(chosen)


def _average_pool(node: Node, tangents: Tangents) -> Tangent:
    names = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")
    return F.avg_pool2d(tangents[0], *saved(node, *names))


def _reduction(reduce: Callable[..., Tensor]) -> TangentRule:
    def rule(node: Node, tangents: Tangents) -> Tangent:
        dims, keepdim = saved(node, "dim", "keepdim")
        # Negative dimensions are saved as unsigned 64-bit numbers.
        return reduce(tangents[0], [dim - (1 << 64) if dim >= 1 << 63 else dim for dim in dims], keepdim=keepdim)

    return rule


def _reshape(node: Node, tangents: Tangents) -> Any:
    return tangents[0].reshape(result_metadata(node)[0].shape)


def _diagonal(node: Node, tangents: Tangents) -> Any:
    return node(tangents[0])


_RESHAPES = ("View", "UnsafeView", "ReshapeAlias", "Unsqueeze")
_DIAGONALS = (
    *("Relu", "Threshold", "LeakyRelu", "Elu", "Gelu", "Silu", "Mish", "Softplus", "Hardtanh", "Hardswish"),
    *("Hardsigmoid", "Sigmoid", "Tanh", "NativeDropout"),
)

RULES: dict[str, TangentRule] = {
    "AddmmBackward0": _addmm,
    "MmBackward0": partial(_matmul, add_product=Tensor.addmm_),
    "BmmBackward0": partial(_matmul, add_product=Tensor.baddbmm_),
    "ConvolutionBackward0": _convolution,
    "NativeBatchNormBackward0": _batch_norm,
    "CudnnBatchNormBackward0": _batch_norm,
    "NativeLayerNormBackward0": _layer_norm,
    "AddBackward0": _add,
    "SubBackward0": partial(_add, sign=-1),
    "MulBackward0": _mul,
    "ScaledDotProductFlashAttentionForCpuBackward0": _attention,
    "ScaledDotProductFlashAttentionBackward0": _attention,
    "ScaledDotProductEfficientAttentionBackward0": _attention,
    "MaxPool2DWithIndicesBackward0": _max_pool,
    "AvgPool2DBackward0": _average_pool,
    "MeanBackward1": _reduction(torch.mean),
    "SumBackward1": _reduction(torch.sum),
    "TBackward0": lambda node, tangents: tangents[0].t(),
    "CloneBackward0": lambda node, tangents: tangents[0],
    "ToCopyBackward0": lambda node, tangents: _as_result(node, tangents[0]),
    "SqueezeBackward1": _reshape,
    **{f"{name}Backward0": _reshape for name in _RESHAPES},
    **{f"{name}Backward0": _diagonal for name in _DIAGONALS},
}
"""By the class name of the graph's node."""
