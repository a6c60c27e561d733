"""The generated driver on engines and registers that are played: what it moves at a time, and what it refuses."""

from __future__ import annotations

from functools import cache
from itertools import count
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from bitsmith.building.design import Circuit
from tests.rtl.wrapped import expected, inputs_of, load_driver, made

FRAMES = 7


class Board:
    """A circuit whose results are known: each transfer in brings out those of as many frames, and counts them."""

    def __init__(self, driver: ModuleType, results: bytes) -> None:
        self.driver, self.results = driver, results
        self.words = {driver.Registers.STATUS: 0, driver.Registers.FRAMES_OUT: 0}
        self.taken, self.written, self.buffers = list[int](), list[tuple[int, int]](), list[int]()
        self.lost, self.stuck = 0, False
        self._targets = list[np.ndarray]()

    def write(self, offset: int, value: int) -> None:
        self.written.append((offset, value))

    def allocate(self, shape: tuple[int, ...], dtype: type[np.uint8]) -> np.ndarray:
        self.buffers.append(shape[0])
        return np.zeros(shape, dtype)

    def dma(self, most: int) -> object:
        registers = self.driver.Registers(self.words.__getitem__, self.write)
        dma = self.driver.Dma(registers, [Channel(self, sends=True)], [Channel(self, sends=False)], self.allocate, 2.0)
        dma.MOST_BYTES = most
        return dma

    def moved(self, array: np.ndarray, *, sends: bool) -> None:
        if not sends:
            self._targets.append(array)
            return
        frames = len(array) // self.driver.INPUTS[0].frame_bytes
        self.taken.append(frames)
        size = frames * self.driver.OUTPUTS[0].frame_bytes
        self._targets.pop()[:] = np.frombuffer(self.results[:size], np.uint8)
        self.results = self.results[size:]
        self.words[self.driver.Registers.FRAMES_OUT] += frames - self.lost


class Channel:
    """One side of an engine of PYNQ."""

    def __init__(self, board: Board, *, sends: bool) -> None:
        self.board, self.sends = board, sends

    def transfer(self, array: np.ndarray) -> None:
        self.board.moved(array, sends=self.sends)

    @property
    def idle(self) -> bool:
        return not self.board.stuck

    running = True

    def wait(self) -> None:
        pass


@cache
def circuit() -> Circuit:
    return made("stream")


@cache
def inputs() -> list[np.ndarray]:
    return inputs_of(circuit().program, FRAMES)


@cache
def truth() -> np.ndarray:
    (found,) = expected(circuit().program, inputs())
    return found


@pytest.fixture
def board(tmp_path: Path) -> Board:
    driver = load_driver(tmp_path, circuit())
    (stream,) = driver.OUTPUTS
    raw = np.rint(np.ldexp(truth(), np.array(stream.fracs[0]))).astype(np.int64)
    return Board(driver, stream.pack([raw]))


@pytest.mark.parametrize(("room", "parts"), [(3, [3, 3, 1]), (7, [7]), (8, [7]), (1, [1] * 7), (0, [1] * 7)])
def test_transfers_have_as_many_frames_as_an_engine_counts(board: Board, room: int, parts: list[int]) -> None:
    """A frame at least; and buffers of one size are those of before."""
    (size,) = {max(each.frame_bytes for each in (*board.driver.INPUTS, *board.driver.OUTPUTS))}
    for most in (room * size, (room + 1) * size - 1):
        results = board.results
        (found,) = board.driver.predict(inputs(), board.dma(most))
        np.testing.assert_array_equal(found, truth())
        assert board.taken == parts
        assert board.written == [(board.driver.Registers.PACKET_FRAMES, part) for part in parts]
        assert len(board.buffers) == 2 * len(set(parts))
        board.results = results
        for record in (board.taken, board.written, board.buffers):
            record.clear()


def test_frames_that_are_lost_are_an_error_and_reset_the_circuit(board: Board) -> None:
    reset = (board.driver.Registers.CONTROL, 1)
    results = board.results
    board.lost = 1
    with pytest.raises(RuntimeError, match="6 of 7 frames"):
        board.driver.predict(inputs(), board.dma(1 << 20))
    assert reset in board.written
    board.lost, board.results = 0, results
    board.words[board.driver.Registers.STATUS] = 2
    with pytest.raises(RuntimeError, match="7 of 7 frames"):
        board.driver.predict(inputs(), board.dma(1 << 20))


class Engine:
    """An engine of PYNQ with some of its sides, whose reset takes a while: what is written to it, and what is started then."""

    def __init__(self, *sides: str) -> None:
        self.asked, self.left = list[object](), 0
        for side in sides:
            setattr(self, side, SimpleNamespace(start=lambda side=side: self.asked.append((side, self.left))))

    def write(self, offset: int, value: int) -> None:
        self.asked.append((offset, value))
        self.left = 3

    def read(self, offset: int) -> int:
        assert self.asked == [(offset, 1 << 2)]
        self.left -= 1
        return 0x10002 | (self.left > 0) << 2


@pytest.mark.parametrize(
    ("sides", "place"), [(("sendchannel",), 0x00), (("recvchannel",), 0x30), (("sendchannel", "recvchannel"), 0x00)]
)
def test_engines_are_reset_and_started_again_after_a_failure(board: Board, sides: tuple[str, ...], place: int) -> None:
    engine, dma = Engine(*sides), board.dma(1 << 20)
    dma._engines, board.lost = [engine], 1  # type: ignore[attr-defined]
    with pytest.raises(RuntimeError, match="6 of 7 frames"):
        board.driver.predict(inputs(), dma)
    assert engine.asked == [(place, 1 << 2), *((side, 0) for side in sides)]


def test_counts_of_frames_that_wrap_are_no_error(board: Board) -> None:
    board.words[board.driver.Registers.FRAMES_OUT] = (1 << 32) - 3
    read = board.words.__getitem__
    registers = board.driver.Registers(lambda offset: read(offset) % (1 << 32), board.write)
    dma = board.dma(1 << 20)
    dma._registers = registers  # type: ignore[attr-defined]
    (found,) = board.driver.predict(inputs(), dma)
    np.testing.assert_array_equal(found, truth())


def test_a_transfer_that_does_not_end(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit grows with the bytes: two seconds, and two for each MiB."""
    clock = count(0.0, 0.5)
    monkeypatch.setattr(board.driver.time, "monotonic", lambda: next(clock))
    board.stuck = True
    with pytest.raises(TimeoutError, match="transfer"):
        board.driver.predict(inputs(), board.dma(1 << 20))
    assert 2.0 < next(clock) < 5.0


@pytest.mark.parametrize(("moved", "seconds"), [(0, 3.0), (1 << 20, 6.0), (5 << 19, 10.5)])
def test_waiting_ends_after_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: int, seconds: float
) -> None:
    """What is done is looked at once more after the limit: the time may have gone by elsewhere."""
    driver, looks = load_driver(tmp_path, circuit()), list[float]()
    now = [100.0]
    driver.DESIGN["interval"] = 0  # frames have their own time besides

    def done(after: float) -> bool:
        looks.append(now[0] - 100.0)
        now[0] += 0.25
        return looks[-1] >= after

    monkeypatch.setattr(driver.time, "monotonic", lambda: now[0])
    with pytest.raises(TimeoutError, match="no end"):
        driver.until(lambda: done(1e9), "no end", 3.0, moved)
    assert looks[-1] == seconds + 0.25
    now[0] = 100.0
    driver.until(lambda: done(seconds + 0.25), "no end", 3.0, moved)


@pytest.mark.parametrize("interval", [1, 1_000_000])
def test_waiting_leaves_the_frames_their_time(tmp_path: Path, interval: int) -> None:
    """A network of few bytes that takes a million cycles for a frame: 10,000 frames of it take 100 s at 100 MHz."""
    driver = load_driver(tmp_path, circuit())
    driver.DESIGN["interval"] = interval
    least = driver.patience(driver.SECONDS, 0, 10_000)
    assert driver.SECONDS + 10_000 * interval / 100e6 < least < driver.SECONDS + 10_000 * interval / 1e6
    for stream in (*driver.INPUTS, *driver.OUTPUTS):  # however many bytes a frame has on either side
        size = 10_000 * stream.frame_bytes
        assert driver.patience(driver.SECONDS, size, 10_000) == least + driver.SECONDS * size / (1 << 20)
    assert driver.patience(3.0, 0, 0) == 3.0


def test_transfers_have_the_time_of_their_frames(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not that of all frames that their bytes would be of the smallest stream."""
    asked = list[tuple[int, int]]()
    real = board.driver.patience
    monkeypatch.setattr(board.driver, "patience", lambda *about: asked.append(about[1:]) or real(*about))
    board.driver.predict(inputs(), board.dma(3 * board.driver.INPUTS[0].frame_bytes))
    sizes = [stream.frame_bytes for stream in (*board.driver.INPUTS, *board.driver.OUTPUTS)]
    assert asked == [(part * size, part) for part in (3, 3, 1) for size in sizes]


def test_a_driver_knows_the_interval_of_its_circuit(tmp_path: Path) -> None:
    made = circuit()
    assert load_driver(tmp_path, made).DESIGN["interval"] == made.interface.interval >= 1


def test_integers_and_weights_up_to_their_bounds(tmp_path: Path) -> None:
    driver = load_driver(tmp_path, made("loads"))
    shape = tuple(driver.DESIGN["tensors"][0]["shape"])
    for sign in (1, -1):
        x = np.zeros((1, *shape), np.int64)
        x.reshape(-1)[-1] = sign * (1 << 53)
        driver.quantize(0, x)
        x.reshape(-1)[-1] += sign
        with pytest.raises(ValueError, match="53 bits"):
            driver.quantize(0, x)
    with pytest.raises(ValueError, match=r"not \(samples, "):
        driver.quantize(0, np.zeros((0, *shape)))
    about = next(each for each in driver.DESIGN["weights"] if each["layer"] == "conv" and each["name"] == "weight")
    step = 2.0 ** -about["frac"]
    for bound, outward in ((about["lo"], -1), (about["hi"], 1)):
        kernel = np.zeros(about["shapes"][0])
        kernel[1, 1] = (bound + 0.25 * outward) * step  # which is rounded to the bound
        driver.weights("conv", kernel)
        kernel[1, 1] = (bound + outward) * step
        with pytest.raises(ValueError, match=f"outside {about['lo'] * step:g}..{about['hi'] * step:g}"):
            driver.weights("conv", kernel)


def test_tensors_that_a_layer_does_not_have(tmp_path: Path) -> None:
    driver = load_driver(tmp_path, made("loads"))
    for layer, tensors, message in (
        ("conv", {"recurrent_kernel": np.zeros(3)}, "takes no recurrent_weight"),
        ("relu", {"kernel": np.zeros(3)}, "takes no weight"),
        ("conv", {}, "takes no empty load"),
        ("conv", {"kernel": np.zeros((6, 3))}, r"of shape \(6, 3\), not \(3, 6\)"),
        ("conv", {"kernel": np.zeros(18)}, r"of shape \(18,\), not \(3, 6\)"),
        ("conv", {"kernel": np.float64(1)}, r"of shape \(\), not \(3, 6\)"),
    ):
        with pytest.raises(ValueError, match=message):
            driver.weights(layer, **tensors)


def test_weights_that_come_with_each_frame_are_not_loaded_but_given(tmp_path: Path) -> None:
    each = made("weights")
    driver, x = load_driver(tmp_path, each), inputs_of(each.program, 2)
    kernel, bias = np.zeros((2, 30)), np.zeros(2)
    with pytest.raises(ValueError, match="come with each frame"):
        driver.load("dense", kernel, bias, send=lambda name, data: None)
    with pytest.raises(ValueError, match="with each frame come"):
        driver.pack(x)
    with pytest.raises(ValueError, match="with each frame come"):
        driver.pack(x, {"dense": (kernel, None)})
    one, two = (driver.pack([value[:frames] for value in x], {"dense": (kernel, bias)}) for frames in (1, 2))
    own = len(x)
    assert [data * 2 for data in one[own:]] == two[own:] and len(two) == len(driver.INPUTS) > own


def test_late_bytes_are_taken_until_none_come(tmp_path: Path) -> None:
    each = circuit()
    driver, x = load_driver(tmp_path, each), inputs_of(each.program, 1)
    size = driver.OUTPUTS[0].frame_bytes
    asked, answers = list[int](), iter([b"\0" * (size - 3), b"\0", b"\0\0"])

    def read(number: int) -> bytes:
        asked.append(number)
        return next(answers, b"")

    with pytest.raises(TimeoutError, match=f"{size - 3} of {size} bytes"):
        driver.predict(x, driver.Serial(read, lambda part: len(part)))
    assert asked == [size, size, size - 1, size - 3]
