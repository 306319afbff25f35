"""Small models that use what autograd can follow: each kind of operation that a network may hold."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Custom(nn.Module):
    """A model of these modules and parameters, whose forward pass is a function of it and the inputs."""

    def __init__(self, function: Callable[[Any, Tensor], Any], **parts: nn.Module | nn.Parameter) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: Tensor) -> Any:
        return self.function(self, x)


def residual(body: nn.Module) -> nn.Module:
    return Custom(lambda m, x: x + m.body(x), body=body)


def tied_weights() -> nn.Module:
    """An autoencoder's two halves on one weight, which is also scaled by hand."""
    return Custom(
        lambda m, x: m.out((x @ m.weight).tanh() @ m.weight.T @ (m.weight * m.scale)),
        weight=nn.Parameter(torch.randn(5, 4)),
        scale=nn.Parameter(torch.rand(4) + 0.5),
        out=nn.Linear(4, 3),
    )


def attention() -> nn.Module:
    """A pre-norm transformer block on a sequence, in plain tensor code."""

    def forward(m: Any, x: Tensor) -> Tensor:
        z = m.embed(x) + m.position
        q, k, v = m.mix(m.norm(z)).unflatten(-1, (3, 2, 3)).permute(2, 0, 3, 1, 4)
        z = z + ((q @ k.mT / 3**0.5).softmax(-1) @ v).transpose(1, 2).flatten(2)
        return m.head(m.mlp(z).mean(dim=-2))

    return Custom(
        forward,
        embed=nn.Linear(3, 6),
        position=nn.Parameter(torch.randn(4, 6)),
        norm=nn.LayerNorm(6),
        mix=nn.Linear(6, 18),
        mlp=residual(nn.Sequential(nn.LayerNorm(6), nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 6))),
        head=nn.Linear(6, 5),
    )


def splits_and_writes() -> nn.Module:
    def forward(m: Any, x: Tensor) -> Tensor:
        left, right = torch.cat([m.one(x), m.two(x).exp()], dim=1).chunk(2, dim=1)
        both = torch.cat([left * left, right / (1 + left.abs())], dim=1).clone()
        both[:, 1] = left[:, 0] * 3 - right[:, 2]
        return m.out(both.clamp(-2, 2))

    return Custom(forward, one=nn.Linear(4, 3), two=nn.Linear(4, 3), out=nn.Linear(6, 3))


def partly_frozen(frozen: str) -> nn.Module:
    """Parameters whose names contain `frozen` do not require grad."""
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 3))
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(frozen not in name)
    return model


def batch_norm_in_eval_mode() -> nn.Module:
    """Fine-tuning with the running statistics of one layer in use."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(36, 3))
    model[1].eval()
    return model


def deconvolution() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2, padding=1, dilation=1),
        nn.BatchNorm2d(4),
        nn.ConvTranspose2d(4, 2, 3, stride=2, output_padding=1),
        nn.Hardswish(),
        nn.MaxPool2d(3, stride=2, padding=1),
        nn.AvgPool2d(2, ceil_mode=True),
        nn.Flatten(),
        nn.LazyLinear(3),
    )


def recurrent(kind: type[nn.RNNBase]) -> nn.Module:
    return Custom(lambda m, x: m.out(m.body(x)[0][:, -1]), body=kind(3, 4, batch_first=True), out=nn.Linear(4, 3))


def tied_embedding() -> nn.Module:
    def forward(m: Any, x: Tensor) -> Tensor:
        words = m.words((3 * x.abs()).long() % 3)
        return m.body(words.mean(dim=1)).tanh() @ m.words.weight.T

    return Custom(forward, words=nn.Embedding(3, 6, padding_idx=2), body=nn.Linear(6, 6))


def scattered_rows() -> nn.Module:
    """Rows added to where they belong, as a mixture of experts does."""

    def forward(m: Any, x: Tensor) -> Tensor:
        rows = torch.zeros(len(x), 3, dtype=x.dtype).index_add(0, torch.arange(len(x)).flip(0), m.wide(x))
        return rows.scatter_add(1, (x[:, :1] > 0).long(), m.narrow(x)).gather(1, torch.tensor([[2, 0, 1]] * len(x)))

    return Custom(forward, wide=nn.Linear(4, 3), narrow=nn.Linear(4, 1))


def writes_in_place() -> nn.Module:
    def forward(m: Any, x: Tensor) -> Tensor:
        z = m.one(x).mul_(2).add_(1).relu_()
        z = z.sub(m.shift).div_(3).exp_().flip(1).roll(1, dims=1)
        z[:, 0] = m.shift.sum()
        return m.two(z)

    return Custom(forward, one=nn.Linear(4, 5), two=nn.Linear(5, 3), shift=nn.Parameter(torch.randn(5)))


def unused_parameters() -> nn.Module:
    """Parameters that are never read, or that are detached from the logits."""
    parts = {"used": nn.Linear(4, 3), "unused": nn.Linear(2, 2), "cut": nn.Linear(4, 3)}
    return Custom(lambda m, x: m.used(x) * m.cut(x).detach().sigmoid(), **parts)


class Cube(torch.autograd.Function):
    """x³ with a backward formula that autograd can differentiate."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 3 * x**2 * grad


class OnceDifferentiable(torch.autograd.Function):
    """sin x with a backward formula that cannot be differentiated."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: torch.autograd.function.FunctionCtx, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return x.cos() * grad


def custom_function(function: type[torch.autograd.Function]) -> nn.Module:
    return Custom(lambda m, x: m.after(function.apply(m.before(x))), before=nn.Linear(4, 5), after=nn.Linear(5, 3))


def fused_attention(**options: Any) -> nn.Module:
    """A head of fused attention, whose kernel has no second derivative."""

    def forward(m: Any, x: Tensor) -> Tensor:
        q, k, v = m.mix(x).unflatten(-1, (3, 2, 3)).permute(2, 0, 3, 1, 4)
        z = F.scaled_dot_product_attention(q, k, v, **options)
        return m.head(z.transpose(1, 2).flatten(2).mean(dim=1))

    return Custom(forward, mix=nn.Linear(6, 18), head=nn.Linear(6, 3))


def grouped_attention() -> nn.Module:
    """Four heads of queries share two of keys and values."""

    def forward(m: Any, x: Tensor) -> Tensor:
        q, k, v = (part(x).unflatten(-1, (-1, 2)).transpose(1, 2) for part in (m.queries, m.keys, m.values))
        z = F.scaled_dot_product_attention(q, k, v, enable_gqa=True)
        return m.head(z.transpose(1, 2).flatten(2).mean(dim=1))

    parts = {"queries": nn.Linear(6, 8), "keys": nn.Linear(6, 4), "values": nn.Linear(6, 4), "head": nn.Linear(8, 3)}
    return Custom(forward, **parts)


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "tied weights": (tied_weights, (5,)),
    "attention": (attention, (4, 3)),
    "splits and writes": (splits_and_writes, (4,)),
    "frozen stem": (lambda: partly_frozen("0."), (4,)),
    "biases alone": (lambda: partly_frozen("weight"), (4,)),
    "BatchNorm in eval mode": (batch_norm_in_eval_mode, (3, 5, 5)),
    "deconvolution and pooling": (deconvolution, (3, 7, 7)),
    "GRU": (lambda: recurrent(nn.GRU), (6, 3)),
    "LSTM": (lambda: recurrent(nn.LSTM), (6, 3)),
    "a function of one's own": (lambda: custom_function(Cube), (4,)),
    "1-d convolution": (
        lambda: nn.Sequential(nn.Conv1d(3, 4, 3), nn.BatchNorm1d(4), nn.Flatten(), nn.LazyLinear(3)),
        (3, 6),
    ),
    "embedding that is also the last layer": (tied_embedding, (5,)),
    "scattered rows": (scattered_rows, (4,)),
    "writes in place": (writes_in_place, (4,)),
    "a parameter without a path": (unused_parameters, (4,)),
    "weight norm": (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)), (4,)),
    "channel dropout": (
        lambda: nn.Sequential(nn.Conv2d(3, 6, 3), nn.Dropout2d(0.4), nn.Flatten(), nn.LazyLinear(3)),
        (3, 5, 5),
    ),
}
