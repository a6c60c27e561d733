"""Part 8: an expression is rejected as text, and converts as a module that computes it."""

import bitsmith.compat
import hls4ml
import torch
from bitsmith.errors import UnsupportedError

try:
    hls4ml.converters.convert_from_symbolic_expression("sin(x0)*x1**2 + 0.3*exp(-x2)", n_symbols=3, output_dir="part8")
except UnsupportedError as error:
    assert "torch" in str(error), error
else:
    raise AssertionError("text was converted")


class Expression(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sin(x[:, 0]) * x[:, 1] ** 2 + 0.3 * torch.exp(-x[:, 2])


x = torch.rand(200, 3)
config = hls4ml.utils.config_from_pytorch_model(Expression(), (3,), granularity="name")
hls_model = hls4ml.converters.convert_from_pytorch_model(
    Expression(), hls_config=config, output_dir="part8", calibration=x.numpy()
)
assert abs(hls_model.predict(x.numpy()).ravel() - Expression()(x).numpy()).max() < 0.01
assert hls_model.build(synth=False)["Verification"]["Mismatches"] == 0
