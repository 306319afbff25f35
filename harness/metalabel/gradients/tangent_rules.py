"""How a tangent passes one recorded operation: the rules for the operations that networks spend their time in.

A rule takes a node of the autograd graph, whose `_saved_*` attributes are what the operation kept for its backward
pass, and the tangents of its differentiable arguments (None for zero; at least one is not). It gives the tangent of the
result. Every rule rests on one of four facts.

    linear in each argument    f(x, w) → f(ẋ, w) + f(x, ẇ)                      products, convolutions, views, means
    diagonal Jacobian          J = Jᵀ, and node(ẋ) = Jᵀẋ is the fused kernel    ReLU, GELU, dropout, …
    symmetric up to a scale    J = D S, Jᵀ = S D with D a diagonal              normalisations
    a choice of entries        the same entries of ẋ                            max pooling

Operations without a rule here take the general, slower road of `harness.metalabel.gradients.pushforward`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

aten = torch.ops.aten

Tangent = Tensor | None  # None stands for zero
Node = Any  # a node of the autograd graph; torch gives its classes no names


class NoForwardRule(ValueError):
    """An operation of the model through which no tangent can be pushed."""


Rule = Callable[[Node, Sequence[Tangent]], Tangent]


def _sum(first: Tangent, second: Tangent) -> Tangent:
    if first is None or second is None:
        return second if first is None else first
    return first + second


def _filled(node: Node, tangent: Tangent) -> Tangent:
    """A tangent in the result's own shape and type, where the argument it came from was broadcast or promoted."""
    result = node._input_metadata[0]
    return None if tangent is None else tangent.to(result.dtype).expand(result.shape)


def _addmm(node: Node, tangents: Sequence[Tangent]) -> Tangent:
    """β b + α x w: the sum β ḃ + α ẋ w + α x ẇ, each product added as it is made."""
    bias, left, right = tangents
    alpha, beta = node._saved_alpha, node._saved_beta
    total = bias if bias is None or beta == 1 else bias * beta
    for a, b in ((left, node._saved_mat2), (node._saved_mat1, right)):
        if a is None or b is None:
            continue
        if total is None:
            total = torch.mm(a, b) if alpha == 1 else torch.mm(a, b) * alpha
        else:
            total = torch.addmm(total, a, b, alpha=alpha)
    return _filled(node, total) if total is bias else total


def _mm(node: Node, tangents: Sequence[Tangent]) -> Tangent:
    left, right = tangents
    total = None if right is None else torch.mm(node._saved_self, right)
    if left is None:
        return total
    return torch.mm(left, node._saved_mat2) if total is None else total.addmm_(left, node._saved_mat2)


def _bmm(node: Node, tangents: Sequence[Tangent]) -> Tangent:
    left, right = tangents
    total = None if right is None else torch.bmm(node._saved_self, right)
    if left is None:
        return total
    return torch.bmm(left, node._saved_mat2) if total is None else total.baddbmm_(left, node._saved_mat2)


def _convolution(node: Node, tangents: Sequence[Tangent]) -> Tangent:
    image, weight, bias = tangents
    form = (
        node._saved_stride,
        node._saved_padding,
        node._saved_dilation,
        node._saved_transposed,
        node._saved_output_padding,
        node._saved_groups,
    )
    total: Tangent = None
    if weight is not None:
        total = torch.convolution(node._saved_input, weight, bias, *form)
    elif bias is not None:
        total = _filled(node, bias.view(-1, *[1] * len(node._saved_stride)))
    if image is None:
        return total
    through = torch.convolution(image, node._saved_weight, None, *form)
    return through if total is None else through.add_(total)


def _batch_norm(node: Node, tangents: Sequence[Tangent]) -> Tangent:
    """y = γ x̂ + β with x̂ = r(x - m), m and r the batch's mean and inverse deviation:

        ẏ = γ r (ẋ - ⟨ẋ⟩ - x̂ ⟨x̂ ẋ⟩) + γ̇ x̂ + β̇  =  a ẋ + (k r) (x - m) + c,
        a = γ r,   k = γ̇ - a ⟨x̂ ẋ⟩,   c = β̇ - a ⟨ẋ⟩.

    The two means are what the backward kernel computes for its weight and bias; the middle term is an evaluation-mode
    BatchNorm. So it takes one reduction and two elementwise passes, where the derivative spelled out takes eight.
    In evaluation mode m and r are constants and both means fall away.
    """
    moving, weight_tangent, bias_tangent = tangents
    x, weight, training = node._saved_input, node._saved_weight, node._saved_training
    eps = node._saved_epsilon if hasattr(node, "_saved_epsilon") else node._saved_eps
    if training:
        mean, inverse = node._saved_result1, node._saved_result2
    else:
        mean, inverse = node._saved_running_mean, (node._saved_running_var + eps).rsqrt()
    slope = torch.zeros_like(mean) if weight_tangent is None else weight_tangent
    shift = torch.zeros_like(mean) if bias_tangent is None else bias_tangent
    scale = inverse if weight is None else weight * inverse
    if training and moving is not None:
        unit = torch.ones_like(mean) if weight is None else weight  # on CUDA the means are not had without one
        _, correlation, total = aten.native_batch_norm_backward.default(
            moving, x, unit, None, None, mean, inverse, True, eps, [False, True, True]
        )
        count = x.numel() // x.shape[1]
        slope = slope - scale * (correlation / count)
        shift = shift - scale * (total / count)
    rest = torch.batch_norm(x, slope * inverse, shift, mean, torch.ones_like(mean), False, 0.0, 0.0, False)
    if moving is None:
        return rest
    return rest.addcmul_(moving, scale.to(rest.dtype).view(1, -1, *[1] * (x.dim() - 2)))


def _layer_norm(node: Node, tangents: Sequence[Tangent]) -> Tangent:
    """ẏ = γ S ẋ + γ̇ x̂ + β̇; S is symmetric, so the backward kernel without a weight applies it."""
    moving, weight_tangent, bias_tangent = tangents
    x, weight, shape = node._saved_input, node._saved_weight, node._saved_normalized_shape
    mean, inverse = node._saved_result1, node._saved_result2
    total: Tangent = None
    if moving is not None:
        total = aten.native_layer_norm_backward(
            moving.contiguous(), x, shape, mean, inverse, None, None, [True, False, False]
        )[0]
        total = total if weight is None else total * weight
    if weight_tangent is not None:
        total = _sum(total, (x - mean).mul_(inverse).mul_(weight_tangent).to(x.dtype))
    return _sum(total, bias_tangent)


def _add(node: Node, tangents: Sequence[Tangent]) -> Tangent:
    first, second = tangents
    if second is not None and node._saved_alpha != 1:
        second = second * node._saved_alpha
    return _filled(node, _sum(first, second))


def _sub(node: Node, tangents: Sequence[Tangent]) -> Tangent:
    first, second = tangents
    if second is not None:
        second = second * -node._saved_alpha
    return _filled(node, _sum(first, second))


def _mul(node: Node, tangents: Sequence[Tangent]) -> Tangent:
    first, second = tangents
    total = _sum(
        None if first is None else first * node._saved_other,
        None if second is None else node._saved_self * second,
    )
    return _filled(node, total)


def _attention(node: Node, tangents: Sequence[Tangent]) -> Tangent:
    """o = P v with P = softmax(S), S = c q kᵀ + mask: ȯ = Ṗ v + P v̇ with Ṗ = P ∘ (Ṡ - ⟨P, Ṡ⟩).

    The fused kernels keep neither P nor a backward formula that could be differentiated; P is computed again.
    """
    if node._saved_dropout_p:
        raise NoForwardRule(
            f"{node.name()} has no forward-mode rule with dropout inside the fused attention; "
            "use torch.nn.attention.sdpa_kernel(SDPBackend.MATH) around the model"
        )
    query, key, value = node._saved_query, node._saved_key, node._saved_value
    moving_query, moving_key, moving_value = tangents[:3]
    if (shared := query.shape[-3] // key.shape[-3]) > 1:  # grouped queries: several heads share a key and a value
        key, value, moving_key, moving_value = (
            heads if heads is None else heads.repeat_interleave(shared, dim=-3)
            for heads in (key, value, moving_key, moving_value)
        )
    scale = query.shape[-1] ** -0.5 if node._saved_scale is None else node._saved_scale
    scores = query @ key.mT * scale
    for name in ("_saved_attn_mask", "_saved_attn_bias"):
        if getattr(node, name, None) is not None:
            scores = scores + getattr(node, name)
    if node._saved_is_causal:
        later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(later, float("-inf"))
    weights = scores.softmax(dim=-1)
    moving_scores = _sum(
        None if moving_query is None else moving_query @ key.mT * scale,
        None if moving_key is None else query @ moving_key.mT * scale,
    )
    total = None if moving_value is None else weights @ moving_value
    if moving_scores is None:
        return total
    moving_weights = weights * (moving_scores - (weights * moving_scores).sum(dim=-1, keepdim=True))
    return _sum(moving_weights @ value, total)


def _max_pool(node: Node, tangents: Sequence[Tangent]) -> Tangent:
    (moving,) = tangents
    assert moving is not None
    chosen = node._saved_result1
    return moving.flatten(-2).gather(-1, chosen.flatten(-2)).view_as(chosen)


def _wrapped(dims: Sequence[int]) -> list[int]:
    """Negative dimensions are saved as unsigned 64-bit numbers."""
    return [dim - (1 << 64) if dim >= 1 << 63 else dim for dim in dims]


def _mean(node: Node, tangents: Sequence[Tangent]) -> Tangent:
    (moving,) = tangents
    assert moving is not None
    return moving.mean(_wrapped(node._saved_dim), keepdim=node._saved_keepdim)


def _sum_over(node: Node, tangents: Sequence[Tangent]) -> Tangent:
    (moving,) = tangents
    assert moving is not None
    return moving.sum(_wrapped(node._saved_dim), keepdim=node._saved_keepdim)


def _average_pool(node: Node, tangents: Sequence[Tangent]) -> Tangent:
    (moving,) = tangents
    assert moving is not None
    return F.avg_pool2d(
        moving,
        node._saved_kernel_size,
        node._saved_stride,
        node._saved_padding,
        node._saved_ceil_mode,
        node._saved_count_include_pad,
        node._saved_divisor_override,
    )


def _diagonal(node: Node, tangents: Sequence[Tangent]) -> Tangent:
    result: Tangent = node(tangents[0])
    return result


def _transposed(node: Node, tangents: Sequence[Tangent]) -> Tangent:
    (moving,) = tangents
    assert moving is not None
    return moving.t()


def _reshaped(node: Node, tangents: Sequence[Tangent]) -> Tangent:
    (moving,) = tangents
    assert moving is not None
    return moving.reshape(node._input_metadata[0].shape)


def _recast(node: Node, tangents: Sequence[Tangent]) -> Tangent:
    (moving,) = tangents
    assert moving is not None
    return moving.to(node._input_metadata[0].dtype)


def _same(node: Node, tangents: Sequence[Tangent]) -> Tangent:
    return tangents[0]


RULES: dict[str, Rule] = {
    "AddmmBackward0": _addmm,
    "MmBackward0": _mm,
    "BmmBackward0": _bmm,
    "ConvolutionBackward0": _convolution,
    "NativeBatchNormBackward0": _batch_norm,
    "CudnnBatchNormBackward0": _batch_norm,
    "NativeLayerNormBackward0": _layer_norm,
    "AddBackward0": _add,
    "SubBackward0": _sub,
    "MulBackward0": _mul,
    "ScaledDotProductFlashAttentionForCpuBackward0": _attention,
    "ScaledDotProductFlashAttentionBackward0": _attention,
    "ScaledDotProductEfficientAttentionBackward0": _attention,
    "MaxPool2DWithIndicesBackward0": _max_pool,
    "AvgPool2DBackward0": _average_pool,
    "MeanBackward1": _mean,
    "SumBackward1": _sum_over,
    "TBackward0": _transposed,
    "CloneBackward0": _same,
    "ToCopyBackward0": _recast,
    **dict.fromkeys(
        ("ViewBackward0", "UnsafeViewBackward0", "ReshapeAliasBackward0", "SqueezeBackward1", "UnsqueezeBackward0"),
        _reshaped,
    ),
    **dict.fromkeys(
        (
            "ReluBackward0",
            "ThresholdBackward0",
            "LeakyReluBackward0",
            "EluBackward0",
            "GeluBackward0",
            "SiluBackward0",
            "MishBackward0",
            "SoftplusBackward0",
            "HardtanhBackward0",
            "HardswishBackward0",
            "HardsigmoidBackward0",
            "SigmoidBackward0",
            "TanhBackward0",
            "NativeDropoutBackward0",
        ),
        _diagonal,
    ),
}
