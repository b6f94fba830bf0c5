"""Pictures of trainings: what is in the log is in the picture, marked where it is best."""

import re

import pytest

from fairseq_plugin.errors import UserError
from fairseq_plugin.reports import training_plot
from fairseq_plugin.reports.training_log import Best, Curves
from fairseq_plugin.reports.training_plot import draw_training


def made_curves(num_updates=60, best_at=40, **more):
    """A run whose validation loss is lowest at ``best_at``."""
    updates = list(range(1, num_updates + 1))
    points = [(u, 5 + abs(u - best_at) / 10) for u in updates if u % 10 == 0]
    return Curves(
        train={"loss": [(u, 8 / u**0.3) for u in updates], "lr": [(u, 1e-3 / u) for u in updates]},
        valid={"loss": points, "ppl": [(u, 2**loss) for u, loss in points], **more},
        epochs=[(u, u / 20) for u in updates],
    )


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """``drawn(runs)``: the figures' axes by title, per kind of plot, and the paths."""

    def draw(runs):
        figures = {}
        make = training_plot._figure

        def keep(own, axis, panels):
            figures[axis] = make(own, axis, panels)
            return figures[axis]

        monkeypatch.setattr(training_plot, "_figure", keep)
        paths = draw_training(runs, tmp_path / "out" / "curves")
        return {
            axis: {a.get_title(loc="left"): a for a in figure.axes} for axis, figure in figures.items()
        }, paths

    return draw


def lines_of(axes):
    return [(list(line.get_xdata()), list(line.get_ydata())) for line in axes.get_lines()]


def test_four_files_are_written_and_are_pictures(drawn, tmp_path):
    _, paths = drawn({"run": made_curves()})
    assert [path.name for path in paths] == [
        "curves.png",
        "curves.svg",
        "curves-epochs.png",
        "curves-epochs.svg",
    ]
    for path in paths:
        start = path.read_bytes()[:200]
        assert start.startswith(b"\x89PNG") if path.suffix == ".png" else b"<?xml" in start
    assert sorted(tmp_path.glob("out/*")) == sorted(paths)


def test_what_was_logged_is_drawn_over_updates(drawn):
    curves = made_curves(
        accuracy=[(10, 0.2), (20, 0.3)], rep_128=[(10, 0.5)], wrep_128=[(10, 0.4)], gamma=[(10, 0.5)]
    )
    axes, _ = drawn({"run": curves})
    titles = ["Loss", "Perplexity", "Accuracy", "Repetition of the last 128 tokens", "Gamma", "Learning rate"]
    assert list(axes["updates"]) == titles
    updates, losses = zip(*curves.valid["loss"])
    assert (list(updates), list(losses)) in lines_of(axes["updates"]["Loss"])
    assert axes["updates"]["Loss"].get_xlabel() == "updates"
    assert all(own.get_ylabel() for own in axes["updates"].values())


def test_epochs_show_means_best_validations_and_their_gap(drawn):
    curves = made_curves(best_at=40, accuracy=[(10, 0.2), (20, 0.3)])  # 20 updates an epoch
    axes = drawn({"run": curves})[0]["epochs"]
    title, gap = "Loss, epoch by epoch", "Validation loss above training loss"
    assert list(axes) == [title, gap, "Accuracy"]
    means = [sum(8 / u**0.3 for u in range(1 + 20 * n, 21 + 20 * n)) / 20 for n in range(3)]
    best = [5 + abs(update - 40) / 10 for update in (20, 40, 50)]
    (x, train), (_, valid) = lines_of(axes[title])[:2]
    assert x == [1, 2, 3] and train == pytest.approx(means) and valid == pytest.approx(best)
    assert lines_of(axes[gap])[0][1] == pytest.approx([v - t for v, t in zip(best, means)])
    assert [text.get_text() for text in axes[title].texts] == ["best 5.000: epoch 2"]
    assert ([2.0], [5.0]) in lines_of(axes[title])


def test_one_epoch_is_no_picture_over_epochs(drawn):
    _, paths = drawn({"run": made_curves(num_updates=20, best_at=10), "longer": made_curves()})
    assert [path.name for path in paths] == ["curves.png", "curves.svg"]


@pytest.mark.parametrize("best_at", [10, 30, 60])
def test_the_words_at_the_best_validation_stand_on_no_curve(drawn, best_at):
    axes, _ = drawn({"run": made_curves(best_at=best_at)})
    for own in (*axes["updates"].values(), *axes["epochs"].values()):
        for text in own.texts:
            box = text.get_window_extent()
            assert own.get_window_extent().fully_containsx(
                box.x0
            ) and own.get_window_extent().fully_containsx(box.x1)
            assert not any(
                line.get_path().transformed(line.get_transform()).intersects_bbox(box, filled=False)
                for line in own.get_lines()
                if len(line.get_xdata()) > 1
            )


@pytest.mark.parametrize("length", [3, 39])
@pytest.mark.parametrize("number", [3, 7])
def test_a_legend_stays_inside_of_the_picture(drawn, number, length):
    runs = {f"{n} {'w' * length}"[:length]: made_curves(best_at=10) for n in range(number)}
    axes, _ = drawn(runs)
    figure = axes["updates"]["Loss"].figure
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0 and box.x1 <= figure.bbox.width and box.y1 <= figure.bbox.height


def test_the_best_validation_is_marked_where_it_is(drawn):
    axes, _ = drawn({"run": made_curves(best_at=40)})
    assert ([40], [5.0]) in lines_of(axes["updates"]["Loss"])
    assert [text.get_text() for text in axes["updates"]["Loss"].texts] == ["best 5.000: epoch 2, update 40"]


def test_several_runs_lie_over_each_other_with_a_legend(drawn):
    runs = {f"run {n}": made_curves(best_at=10 * n) for n in range(1, 12)}
    axes, _ = drawn(runs)
    loss = axes["updates"]["Loss"]
    for n in range(1, 6):
        assert ([10 * n], [5.0]) in lines_of(loss)
    styles = {
        (line.get_color(), str(line.get_linestyle()))
        for line in loss.get_lines()
        if len(line.get_xdata()) == 6
    }
    assert len(styles) >= len(runs)  # each can be told from the others
    words = [text.get_text() for text in loss.figure.legends[0].get_texts()]
    assert words == [
        *(f"run {n} (best {5 if n < 7 else 5 + (10 * n - 60) / 10:.3f})" for n in range(1, 12)),
        *words[-3:],
    ]


def test_the_same_log_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        draw_training({"run": made_curves()}, tmp_path / name)
    for ending in (".png", ".svg", "-epochs.svg"):
        assert (tmp_path / f"a{ending}").read_bytes() == (tmp_path / f"b{ending}").read_bytes()


def test_a_run_of_one_point_is_drawn(drawn):
    curves = Curves(valid={"loss": [(5, 3.0)], "ppl": [(5, 8.0)]})
    axes, paths = drawn({"run": curves})
    assert list(axes) == ["updates"] and len(paths) == 2  # no epochs in the log, no plot over epochs
    assert training_plot.best_validation(curves) == Best(5, 3.0, None)


def test_equal_values_and_zeros_are_drawn(drawn):
    flat = {"loss": [(1, 0.0), (2, 0.0)], "ppl": [(1, 1.0), (2, 1.0)], "lr": [(1, 0.0), (2, 0.0)]}
    curves = Curves(train=flat)
    assert set(drawn({"run": curves})[0]["updates"]) == {"Loss", "Perplexity", "Learning rate"}


def test_names_are_not_read_as_formulas_or_markup(drawn):
    _, paths = drawn({"$\\frac{1}{0$ <script>&": made_curves(), "_hidden": made_curves()})
    assert not re.search("<script", paths[1].read_text("utf-8"))


def test_nothing_to_draw_is_an_error(tmp_path):
    with pytest.raises(UserError, match="nothing to draw"):
        draw_training({"run": Curves()}, tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file/a\.png cannot be written"):
        draw_training({"run": made_curves()}, tmp_path / "file" / "a")


def test_smoothing_takes_means_and_lags_neither_behind_nor_ahead():
    values = [float(n % 7) for n in range(300)]
    smooth = training_plot._smooth(values, 10)
    assert (
        len(smooth) == 300 and smooth[0] == values[0] and smooth[-1] == pytest.approx(sum(values[-11:]) / 11)
    )
    assert smooth[150] == pytest.approx(sum(values[140:161]) / 21)
