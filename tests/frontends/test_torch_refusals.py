"""What is refused of PyTorch programs: by name, with the reason and what would work, all in one error."""

from __future__ import annotations

import copy
import logging
import re
from collections.abc import Callable

import pytest
import torch
from tests.frontends.torch_samples import Of
from tests.logged import logged
from tests.properties import judged
from torch import Tensor, nn
from torch.ao import quantization as ao
from torch.ao.quantization import quantize_fx
from torch.nn import functional

from bitsmith.compiler import compile_network
from bitsmith.errors import BitsmithError, ConfigError, ModelFileError, UnsupportedError
from bitsmith.frontends.framework import ReadOptions
from bitsmith.frontends.torch.live import TorchModel, _reason
from bitsmith.frontends.torch.read import read_torch
from bitsmith.layers.layer import Shape


def refusal(function: Callable[..., object] | nn.Module, shape: Shape = (4, 5)) -> str:
    module = function if isinstance(function, nn.Module) else Of(function)
    with pytest.raises(BitsmithError) as caught:
        read_torch(module.eval(), ReadOptions(input_shape=shape))
    return str(caught.value)


_LSTM = nn.LSTM(5, 2).eval()

MIXING: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": lambda x: x.mean(0),
    "all": lambda x: x - x.mean(),
    "softmax": lambda x: x.softmax(0),
    "flip": lambda x: x.flip(0),
    "select": lambda x: x[0],
    "cumsum": lambda x: x.cumsum(0),
    "cat": lambda x: torch.cat([x, x], 0),
    "difference": lambda x: x - x[:1],
    "matmul": lambda x: x.flatten(1) @ x.flatten(1).T,
    "einsum": lambda x: torch.einsum("bij,bik->jk", x, x),
    "view": lambda x: x.transpose(0, 1).reshape(-1, x.shape[0], 5) * 1.0 + x.reshape(4, -1, 5),
    "argmax": lambda x: x.argmax(),
    "sum": lambda x: x.sum((0, 1)),
    "broadcast": lambda x: x.unsqueeze(0) + x.unsqueeze(1),
    "positions": lambda x: x.movedim(0, 2).sum(-1),
    "attention": lambda x: functional.scaled_dot_product_attention(*(x.transpose(0, 1),) * 3).transpose(0, 1),
    "recurrence": lambda x: _LSTM(x)[0],
    "statistics": lambda x: functional.batch_norm(x, None, None, training=True),
}


@pytest.mark.parametrize("name", MIXING)
def test_what_mixes_samples_is_refused(name: str) -> None:
    message = refusal(MIXING[name])
    assert any(word in message for word in ("batch", "samples")), message


def _partly(x: torch.Tensor) -> torch.Tensor:
    y = torch.empty_like(x)
    y[:, :, 1:] = x[:, :, 1:]
    return y


REFUSED: dict[str, tuple[Callable[..., object] | nn.Module, str]] = {
    "indices": (lambda x: functional.max_pool1d(x, 2, return_indices=True), "indices of maxima"),
    "places of maxima": (
        lambda x: functional.max_unpool1d(*functional.max_pool1d(x, 2, return_indices=True), 2),
        "counted over all samples",
    ),
    "comparison of whole tensors": (lambda x: x * torch.equal(x, x + 1.0), "equal"),
    "mode": (lambda x: x.mode(1)[0], "mode (mode)"),
    "random": (nn.Sequential(Of(lambda x: x + torch.rand(4, 5))), "0.rand (rand): random"),
    "cumulative maximum": (
        nn.Sequential(Of(lambda x: x.cummax(1)[0])),
        "0.cummax (cummax): it is not an operator that",
    ),
    "odd scale": (lambda x: functional.interpolate(x, scale_factor=1.00001), "ratios of integers"),
    "quotient of samples": (lambda x: x * (x.shape[0] // (x.shape[0] - 7)), "two sizes of tensors"),
    "zero": (lambda x: x / torch.tensor([1.0, 0.0, 1.0, 1.0, 1.0]), "division by zero"),
    "computed weight": (lambda x: functional.conv1d(x, x.new_ones(1, 4, 2) * x.amax()), "batch"),
    "places of bits": (lambda x: x.long() << x.long().abs(), "a shift of int64"),
    "integer means": (lambda x: functional.avg_pool1d(x.long(), 2), "means of integers"),
    "many places": (lambda x: x[:, torch.zeros(1100, 1).long(), torch.zeros(1, 1100).long()], "1210000 indices"),
    "computed places": (lambda x: x.gather(1, x.argmax(1, keepdim=True)[..., :1]), "computed from an input"),
    "places apart": (lambda x: x[:, None][:, [0], :, [2]], "beside each other"),
    "multiplied updates": (lambda x: x.scatter(1, torch.zeros(2, 1, 5).long(), x, reduce="multiply"), "combined"),
    "constant": (lambda x: torch.ones(3), "does not depend"),
    "spectral norm": (lambda x: torch.linalg.norm(x, 2, dim=(1, 2)), "order 2 over 2 axes"),
    "order of a norm": (lambda x: x.norm(p=3, dim=1), "order 3"),
    "softplus of nothing": (nn.Softplus(beta=0.0), "accepted: a positive beta"),
    "softplus of less": (nn.Softplus(beta=-1.0), "accepted: a positive beta"),
    "celu of less": (nn.CELU(-1.0), "accepted: a positive alpha"),
    "unwritten result": (_partly, "what to do: write to all of a tensor that is made without numbers (torch.empty)"),
    "unwritten operand": (lambda x: _partly(x) * 2.0, "elements that nothing has been written to"),
    "nothing written": (lambda x: torch.empty_like(x) + x, "write to all of a tensor that is made without numbers"),
    "computed mask": (lambda x: x[x > 0.0], "that a computed mask picks, beside others"),
    "unwritten constant": (lambda x: _partly(torch.zeros(2, 4, 5))[0] + x, "elements that nothing has been written to"),
    "data": (lambda x: x.sum() if bool(x.sum() > 0) else x, "torch.export cannot"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_say_why(name: str) -> None:
    function, words = REFUSED[name]
    assert words in refusal(function)


def test_minus_infinity_is_refused_but_before_softmax() -> None:
    network = read_torch(
        Of(lambda x: x.masked_fill(torch.eye(4, 5) > 0.5, -torch.inf) * 2.0), ReadOptions(input_shape=(4, 5))
    )
    with pytest.raises(UnsupportedError, match="-inf only as a softmax mask"):
        compile_network(network)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: functional.pad(x, (1, 1), value=-torch.inf).relu(), "only in front of max pooling"),
        (lambda x: functional.max_pool1d(functional.pad(x, (0, 0, 1, 1), value=-torch.inf), 2), "max pooling"),
        (lambda x: functional.max_pool1d(functional.pad(x, (3, 0), value=-torch.inf), 2), "one element"),
        (
            lambda x: functional.max_pool1d(functional.pad(x, (0, 2), value=-torch.inf), 3, 3, ceil_mode=True),
            "nothing but -inf",
        ),
    ],
)
def test_minus_infinity_is_refused_but_around_maxima(function: Callable[[Tensor], Tensor], words: str) -> None:
    network = read_torch(Of(function), ReadOptions(input_shape=(4, 6)))
    with pytest.raises(UnsupportedError, match=words):
        compile_network(network)


def test_all_refusals_come_in_one_error_with_names() -> None:
    class Inner(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.lgamma() + x.flip(0)

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.Sequential(nn.ReLU(), Inner())

        def forward(self, x: Tensor) -> Tensor:
            return self.blocks(x).softmax(1) + torch.fft.rfft(x).abs().sum(-1, keepdim=True)

    message = refusal(Outer())
    assert "3 layers cannot be translated" in message
    named = ("blocks.1.lgamma (lgamma)", "blocks.1.flip (flip)", "fft_rfft (fft_rfft): Fourier transforms")
    assert all(words in message for words in named)


def test_a_module_needs_a_shape_or_an_example() -> None:
    for shape in (None, (), (3, -2), ("x",), [(3,), ()]):
        with pytest.raises(ConfigError, match="input_shape"):
            read_torch(nn.Linear(3, 2), ReadOptions(input_shape=shape))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="example"):
        read_torch(nn.Linear(3, 2), ReadOptions(example=torch.zeros(0, 3)))


@pytest.mark.parametrize(
    ("module", "shape"),
    [(nn.Linear(16, 8), (1, 16)), (nn.Sequential(nn.ReLU(), nn.Linear(4, 2)), (1, 3, 4)), (nn.Sigmoid(), [1, 5])],
)
def test_shapes_whose_first_axis_may_count_samples_are_refused(module: nn.Module, shape: Shape) -> None:
    with pytest.raises(ConfigError, match="may count samples") as refused:
        read_torch(module, ReadOptions(input_shape=shape))
    assert f"input_shape={tuple(shape[1:])}" in str(refused.value)
    network = read_torch(module, ReadOptions(input_shape=(None, *shape)))
    assert network.input_shapes() == {name: tuple(shape) for name in network.inputs}


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Conv2d(1, 2, 3), (1, 8, 8)),
        (nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), (1, 8, 8)),
        (nn.Sequential(nn.Flatten(), nn.Linear(16, 3)), (1, 16)),
        (nn.Linear(8, 3), (2, 8)),
    ],
)
def test_first_axes_of_samples_themselves_are_kept(module: nn.Module, shape: Shape) -> None:
    network = read_torch(module, ReadOptions(input_shape=shape))
    assert list(network.input_shapes().values()) == [shape]


def test_programs_with_other_open_sizes_are_refused() -> None:
    axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("length")}
    program = torch.export.export(nn.ReLU(), (torch.zeros(2, 3),), dynamic_shapes=(axes,))
    with pytest.raises(UnsupportedError, match="leaves sizes open"):
        read_torch(program)


class _Largest(nn.Module):
    def forward(self, x: Tensor) -> object:
        return x.max(1)


@pytest.mark.parametrize("model", [_Largest(), torch.export.export(_Largest(), (torch.zeros(3, 4),))])
def test_results_that_no_archive_holds_name_those_to_return(model: TorchModel) -> None:
    with pytest.raises(UnsupportedError, match=r"torch.return_types(.|\n)*tuple\(x.max\(1\)\)"):
        read_torch(model, ReadOptions(input_shape=(4,) if isinstance(model, nn.Module) else None))


class _Chooses(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 0:
            return x
        return -x


@pytest.mark.parametrize(
    ("module", "said", "remedy"),
    [
        (
            _Chooses(),
            r"depends on the data \(test_torch_refusals\.py, line \d+: if x\.sum\(\) > 0:\)$",
            r"torch\.where\(",
        ),
        (Of(lambda x: x @ torch.ones(5, 3)), r"module: .*same reduction dim.*$", "give an example input"),
    ],
)
def test_modules_that_do_not_export(
    module: nn.Module, said: str, remedy: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """The reason is one line, and nothing of what torch logs and prints for its own developers is left."""
    with logged(logging.WARNING, "torch") as records, pytest.raises(UnsupportedError) as caught:
        read_torch(module, ReadOptions(input_shape=(4,)))
    assert re.search(said, caught.value.found) and re.search(remedy, str(caught.value.remedy))
    assert caught.value.__cause__ is None
    assert capfd.readouterr() == ("", "")
    assert not [record for record in records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("shapes", [((5,), (3, 4)), ((5,), (1, 3, 4)), ((1, 5), (3, 4))])
def test_examples_without_the_axis_of_samples_are_named(shapes: tuple[Shape, Shape]) -> None:
    """A module with a recurrent layer, whose samples may be along the second axis, of which there may be none."""

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dense, self.cell = nn.Linear(5, 4), nn.GRU(4, 4, batch_first=True)

        def forward(self, x: Tensor, steps: Tensor) -> Tensor:
            return torch.cat([self.dense(x), self.cell(steps)[0][:, -1]], -1)

    with pytest.raises(UnsupportedError) as refused:
        read_torch(Two(), ReadOptions(example=tuple(map(torch.zeros, shapes))))
    advice = str(refused.value.remedy)
    assert str(list(shapes)) in advice and "counts samples" in advice and "give an example" not in advice


@pytest.mark.filterwarnings("ignore")
def test_modules_with_packed_weights_say_what_to_give_instead() -> None:
    module = nn.Sequential(nn.Linear(5, 3), nn.ReLU()).eval()
    packed = torch.ao.quantization.quantize_dynamic(module, {nn.Linear})
    assert re.search(r"torch\.ao\.quantization(.|\n)*the float module", refusal(packed, (5,)))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("converted", [quantize_fx.convert_fx, quantize_fx.convert_to_reference_fx])
@pytest.mark.parametrize(("layer", "shape"), [(nn.Linear(5, 3), (5,)), (nn.Conv2d(2, 3, 2), (2, 4, 4))])
def test_graphs_that_torch_quantized_itself_say_what_to_give_instead(
    converted: Callable[..., nn.Module], layer: nn.Module, shape: Shape
) -> None:
    example = torch.randn(4, *shape)
    watched = quantize_fx.prepare_fx(
        nn.Sequential(layer, nn.ReLU()).eval(), ao.get_default_qconfig_mapping(), (example,)
    )
    watched(example)
    assert re.search(r"torch\.ao\.quantization(.|\n)*prepare_pt2e and convert_pt2e", refusal(converted(watched), shape))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [ao.FakeQuantize, ao.FusedMovingAvgObsFakeQuantize])
def test_modules_that_watch_data_are_told_and_left_as_they_are(kind: type[ao.FakeQuantize]) -> None:
    """Fake quantizers take ranges from whatever a module is called with, in evaluation mode, too."""
    module = nn.Sequential(ao.QuantStub(), nn.Linear(5, 3))
    watching = kind.with_args(observer=ao.MovingAverageMinMaxObserver)
    module.qconfig = ao.QConfig(activation=watching, weight=ao.default_weight_fake_quant)
    watched = ao.prepare_qat(module.train())
    watched(torch.ones(4, 5))
    before = copy.deepcopy(watched.state_dict())
    assert re.search(r"torch\.ao\.quantization, which watch(.|\n)*the float module", refusal(watched.eval(), (5,)))
    assert all(torch.equal(values, before[name]) for name, values in watched.state_dict().items())


def test_weights_on_the_device_meta_are_to_be_loaded() -> None:
    with pytest.raises(ModelFileError, match="load the weights before"):
        read_torch(nn.Linear(3, 2).to("meta"), ReadOptions(input_shape=((3,),)))


def test_an_example_that_is_a_dictionary() -> None:
    """As the models of HuggingFace take them, and some of users."""
    example = {"ids": torch.zeros(1, 4), "mask": torch.zeros(1, 4)}
    with pytest.raises(ConfigError, match=r"a dictionary of ids, mask\n  accepted: tensors, one for each argument"):
        read_torch(Of(lambda x: x), ReadOptions(example=example))


def test_an_example_without_numbers() -> None:
    with pytest.raises(ConfigError, match="an example without numbers"):
        read_torch(nn.Linear(3, 2), ReadOptions(example="x"))


def test_a_cache_among_the_results_is_told_with_what_to_set() -> None:
    told = "Found <class 'transformers.cache_utils.DynamicCache'> in output, which is not a known type."
    assert _reason(told) == ("a cache of earlier words among its results", "set model.config.use_cache = False")


def test_shapes_of_fewer_inputs_than_a_module_takes_lead_to_those_of_all() -> None:
    class Sum(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return x + y

    with pytest.raises(UnsupportedError, match=r"(?s)argument: 'y'.*input_shape=\[\(16,\), \(4,\)\]"):
        read_torch(Sum(), ReadOptions(input_shape=(16,)))
    assert read_torch(Sum(), ReadOptions(input_shape=[(16,), (16,)])).outputs


class Padded(nn.Module):
    """An encoder with padding where numbers are negative, given by position or by name."""

    def __init__(self, *, named: bool, mask: Tensor | None = None, **options: bool) -> None:
        super().__init__()
        self.named, self.mask = named, mask
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), 1, **options)

    def forward(self, x: Tensor) -> Tensor:
        padding = x[..., 0] < 0
        if self.named:
            return self.encoder(x, mask=self.mask, src_key_padding_mask=padding)
        return self.encoder(x, self.mask, padding)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("named", [False, judged(True)])
def test_padded_encoders_whose_nested_tensors_follow_gradients_are_refused(named: bool) -> None:
    module = Padded(named=named).eval()
    x = torch.cat([torch.ones(2, 3, 4), -torch.ones(2, 2, 4)], 1)
    with torch.no_grad():
        nested = module(x)
    assert float((nested - module(x).detach()).abs().max()) > 0.1
    said = refusal(module, (5, 4))
    assert "'encoder'" in said and "encoder.use_nested_tensor = False" in said
    module.encoder.use_nested_tensor = False
    for other in (module, Padded(named=named, enable_nested_tensor=False), Padded(named=named, mask=torch.zeros(5, 5))):
        assert read_torch(other.eval(), ReadOptions(input_shape=(5, 4))).outputs
    with torch.no_grad():
        plain = module(x)
    torch.testing.assert_close(plain, module(x).detach())


def test_packed_sequences_are_refused_with_what_to_do() -> None:
    lstm = nn.LSTM(3, 4, batch_first=True)

    def packed(x: Tensor) -> Tensor:
        lengths = torch.full((x.shape[0],), x.shape[1])
        states = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return nn.utils.rnn.pad_packed_sequence(lstm(states)[0], batch_first=True)[0]

    module = Of(packed)
    module.lstm = lstm
    with pytest.raises(UnsupportedError, match=r"packed sequences(.|\n)*drop pack_padded_sequence"):
        read_torch(module, ReadOptions(input_shape=(5, 3)))


def test_images_whose_channels_are_last_are_told_how_pytorch_has_them() -> None:
    network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU()).eval()
    with pytest.raises(UnsupportedError) as caught:
        read_torch(network, ReadOptions(input_shape=(8, 8, 3)))
    assert "x.transpose(0, 3, 1, 2)" in str(caught.value.remedy)
    with pytest.raises(UnsupportedError) as caught:
        read_torch(network, ReadOptions(input_shape=(5, 8, 8)))
    assert "transpose" not in str(caught.value.remedy)
