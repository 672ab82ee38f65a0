"""What all figures share: colours that everybody can tell apart, sizes that survive half a page, quiet frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from semantic_memory.errors import MissingExtra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

# Okabe and Ito's palette (https://jfly.uni-koeln.de/color/), told apart with any kind of colour vision.
BLUE, ORANGE, GREEN, RED, SKY, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#8C8C8C"
INK = "#222222"  # numbers that stand on a colour
RANKERS = {"recall": BLUE, "dense only": ORANGE, "words only": GREEN}
MARKERS = {"recall": "o", "dense only": "s", "words only": "^"}


def figure(*, columns: int = 1, width: float = 7.0, height: float = 4.2) -> tuple[Figure, list[Axes]]:
    """An empty figure of so many plots beside each other; sizes in inches. Raises `MissingExtra`.

    It belongs to no window and no global state: show it, save it or drop it.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra.named("matplotlib", "plots") from error
    made = Figure(figsize=(width, height), layout="constrained", dpi=110)
    axes = list(made.subplots(1, columns, squeeze=False)[0])
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
        one.grid(alpha=0.25, linewidth=0.8)
        one.set_axisbelow(True)
        one.tick_params(labelsize=11)
        one.xaxis.label.set_size(12)
        one.yaxis.label.set_size(12)
    return made, axes


def legend(made: Figure, axes: Axes, *, columns: int = 3) -> None:
    """What the lines mean, below the plot where it hides nothing."""
    handles, labels = axes.get_legend_handles_labels()
    made.legend(handles, labels, frameon=False, fontsize=11, loc="outside lower center", ncols=columns)


def losses_and_gains() -> Colormap:
    """From orange (worse) over white to blue (better)."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("losses and gains", [ORANGE, "white", SKY])
