"""What is drawn is what the tables say, down to the bytes."""

import numpy as np
import pytest
from PIL import Image

from reproduce import figures
from reproduce.figures import captions, panels, registry, style
from reproduce.figures.registry import Figure
from reproduce.figures.sheets import Sheet
from reproduce.optimizers import Optimizer
from reproduce.results import words
from reproduce.results.curves import Curve
from reproduce.results.runs import ResultsError, find_runs
from reproduce.results.select import Reading
from tests.reproduce.drawn import KERAS, MINE


def test_long_captions_break_between_phrases():
    figure = style.new_figure(2.0)
    captions.write(figure, ["a phrase of some length"] * 12)
    for row in figure.get_supxlabel().split("\n"):
        assert set(row.split("  |  ")) == {"a phrase of some length"}
    assert figure.get_supxlabel().count("\n") == 1


_VARIANTS = {
    4: (
        "figure_4_figures_free.png",
        "figure_4_layers_figures_free.png",
        "figure_4_definition_free.png",
        "figure_4_layers_definition_free.png",
    ),
    6: ("figure_6.png",),
}


@pytest.mark.pixels
@pytest.mark.parametrize("numbers", [[6], pytest.param([4, 6], marks=pytest.mark.slow)])
def test_redrawing_gives_identical_bytes(numbers, tmp_path, write_set):
    root = write_set(tmp_path / "runs" / "autoencoder" / "linear", seeds=(0, 1)).parents[1]
    first = figures.draw(numbers, root, tmp_path / "first")
    second = figures.draw(numbers, root, tmp_path / "second")
    names = [name for number in numbers for name in _VARIANTS[number]]
    variants = [f"autoencoder/linear/{name}" for name in (*names, "README.md")]
    whole = [f"paper/figure_{number}.{kind}" for number in numbers for kind in ("png", "pdf")]
    expected = sorted([*variants, *whole, "paper/README.md"])
    assert sorted(str(path.relative_to(tmp_path / "first")) for path in first) == expected
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name


@pytest.mark.slow
@pytest.mark.pixels
def test_a_folder_says_what_its_figures_rest_on(tmp_path, write_set):
    root = write_set(tmp_path / "runs" / "autoencoder" / "linear").parents[1]
    figures.draw(["4"], root, tmp_path / "out")
    figures.draw(["6"], root, tmp_path / "out")  # of what was drawn before it still tells
    index = (tmp_path / "out/autoencoder/linear/README.md").read_text()
    assert index.startswith("# Figures: autoencoder/linear\n")
    for phrase in (
        "## Figure 6: training loss",
        "![Figure 4: regret of layers, figures_free](figure_4_figures_free.png)",
        "* autoencoder: quick scale: MNIST sample, 4,000 digits; 100 epochs",
    ):
        assert phrase in index
    with Image.open(tmp_path / "out/paper/figure_6.png") as image:
        assert image.text["Title"] == "Figure 6: training loss"
    assert "[PDF](figure_6.pdf)" in (tmp_path / "out/paper/README.md").read_text()


def test_experiments_are_drawn_apart(tmp_path, write_set):
    for name in ("linear", "sigmoid"):
        write_set(tmp_path / "runs" / "autoencoder" / name)
    written = figures.draw([6], tmp_path / "runs", tmp_path / "out")
    folders = {str(path.parent.relative_to(tmp_path / "out")) for path in written}
    assert folders == {"paper", "autoencoder/linear", "autoencoder/sigmoid"}


@pytest.mark.slow
def test_the_manifest_says_what_the_papers_figures_show(tmp_path, write_set):
    for name in ("linear", "sigmoid"):
        final = {"adam": {"final": 0.01}} if name == "sigmoid" else {}
        write_set(tmp_path / "runs" / "autoencoder" / name, **final)
    (tmp_path / "runs/manifest.toml").write_text(
        '[[drawings]]\nfigure = "4"\nexperiments = { autoencoder = "sigmoid" }\n'
        'record = "definition"\nsgd = { autoencoder = [0.01] }\n[claims]\n'
    )
    (tmp_path / "out").mkdir()
    figures.draw(["4"], tmp_path / "runs", tmp_path / "out")
    index = (tmp_path / "out/paper/README.md").read_text()
    assert "definition protocol" in index and "not drawn: SGD lr=1.0, SGD lr=0.1" in index
    figures.draw(["4"], tmp_path / "runs", tmp_path / "out", records=["figures"], sgd=[1.0])
    index = (tmp_path / "out/paper/README.md").read_text()
    assert "figures protocol" in index and "not drawn: SGD lr=0.1, SGD lr=0.01" in index


def test_adding_a_figure_is_registering_it(tmp_path, write_set, monkeypatch):
    monkeypatch.setattr(registry, "FIGURES", dict(registry.FIGURES))
    monkeypatch.setattr(registry, "ALL", list(registry.ALL))

    def variants(tables, options):
        yield "figure_7", Sheet(style.new_figure(1.0), "Figure 7", [options.variant])

    registry.register(Figure("7", lambda *_: None, variants, options=("variant",)))
    written = figures.draw(["7"], write_set(tmp_path / "runs"), tmp_path / "out", variant="any")
    assert written[0].name == "figure_7.png" and "7" in registry.ALL


@pytest.mark.parametrize(
    "number, words",
    [
        (3, "Figure 3 needs the regret of neurons"),
        ("5", "Figure 5 needs the exploration measures"),
        (9, "There is no figure 9; the figures are 1, 2, 3, 4, 5, 6, A4"),
    ],
)
def test_figures_without_results_say_what_is_missing(tmp_path, write_set, number, words):
    with pytest.raises(ResultsError, match=words):
        figures.draw([number], write_set(tmp_path), tmp_path / "out")


@pytest.mark.parametrize(
    "options, words",
    [
        ({"records": ["mine"]}, "no record mine; there is figures, definition"),
        ({"layer": "dense_9"}, "no regret of dense_9 .*dense_2, dense_3"),
        ({"ball": True}, "No regret was solved so"),
        ({"comparator": "each_round"}, "No regret was solved so"),
        ({"colour": "red"}, "The options colour are taken by no figure"),
    ],
)
def test_what_was_not_solved_is_named(tmp_path, write_set, options, words):
    with pytest.raises(ResultsError, match=words):
        figures.draw([4], write_set(tmp_path), tmp_path / "out", **options)


@pytest.mark.slow
def test_what_is_asked_for_is_drawn_where_it_is(tmp_path, write_set, write):
    root = tmp_path / "runs"
    write_set(root / "autoencoder" / "linear")
    other = root / "autoencoder" / "other"
    write(other, "adam_seed0", "adam", 0.01, records={"mine": MINE}, layers=["dense_3"])
    write(other, "adam_keras", "adam", 0.01, protocol=KERAS, records={"mine": MINE})

    def folders(**options):
        written = figures.draw(["4"], root, tmp_path / "out", **options)
        return {path.parent.name for path in written} - {"paper"}

    assert folders() == {"linear", "other"}
    assert folders(records=["mine"]) == {"other"}
    assert folders(records=["definition"], layer="dense_5", sgd=[0.1]) == {"linear"}
    assert folders(variant="keras_3") == {"other"}
    assert folders(variant="tensorflow_2016") == {"linear", "other"}


def test_an_option_that_no_figure_takes_is_refused(tmp_path, write_set):
    with pytest.raises(ResultsError, match="The options layer are taken by 4. Received: figures 6"):
        figures.draw([6], write_set(tmp_path), tmp_path / "out", layer="dense_3")


def test_colours_do_not_depend_on_what_else_is_drawn():
    adam = ("autoencoder", Optimizer.of("adam", 0.01))
    several = [
        ("autoencoder", Optimizer.of(name, rate))
        for name, rate in [
            ("rmsprop", 0.001),
            ("sgd", 1.0),
            ("sgd", 0.1),
            ("sgd", 0.01),
            ("sgd", 0.3),
            ("adam", 0.1),
            ("rmsprop_keras", 0.001),
        ]
    ]
    looks = style.looks([adam, *several])
    assert style.looks([adam])[adam] == looks[adam]
    assert len({look.colour for look in looks.values()}) == len(looks)
    # At the paper's rate of its task an optimizer has one colour in both tasks.
    convnet = ("convnet", Optimizer.of("adam", 0.0002))
    assert style.looks([convnet])[convnet] == looks[adam]


def test_own_optimizers_can_be_told_apart_however_many():
    pairs = [("autoencoder", Optimizer.of("sgd", 0.5 + place)) for place in range(20)]
    assert len(set(style.looks(pairs).values())) == 20


def test_sorted_curves_are_drawn_seed_by_seed():
    axes = style.new_figure(1.0).subplots()
    members = np.array([[3.0, 1.0], [2.0, 1.0], [1.0, 0.0]])
    panels.draw_seeds(axes, Curve(np.arange(3.0), members), "red", "both")
    drawn = [line.get_ydata().tolist() for line in axes.get_lines()]
    assert drawn == [[3.0, 2.0, 1.0], [1.0, 1.0, 0.0]]


def test_reading_in_words(tmp_path, write):
    write(tmp_path, "adam_seed0", "adam", 0.01)
    assert words.reading(find_runs(tmp_path), Reading("definition", True)) == (
        "definition protocol: per_example, 4 rounds an epoch, inside the ball"
    )


@pytest.mark.parametrize(
    "data, phrase",
    [
        (
            {"name": "mnist", "source": "MNIST, 60,000 digits", "examples": 60000},
            "quick scale: MNIST, 60,000 digits",
        ),
        (
            {"name": "mnist", "source": "MNIST, 60,000 digits", "examples": 512},
            "quick scale: MNIST, 60,000 digits, 512 of them used",
        ),
        ({"name": "mnist"}, "quick scale: mnist"),
    ],
)
def test_data_in_words(tmp_path, write, data, phrase):
    write(tmp_path, "adam_seed0", "adam", 0.01)
    runs = find_runs(tmp_path)
    runs.iloc[0]["config"]["data"] = data
    assert words.experiment(runs)[0] == phrase
