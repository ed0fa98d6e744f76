"""The colours of pictures and page, each defined here."""

INK = "#1b1f24"
MUTED = "#5c6570"
GRID = "#d9dee3"
PAPER = "#ffffff"
BLUE, RED, GREEN, PINK = "#0072b2", "#d55e00", "#009e73", "#cc79a7"
SKY, ORANGE, BROWN, GREY = "#56b4e9", "#e69f00", "#8c564b", "#6b7280"
PALE_GREY = "#8a94a0"
BLACK = "#000000"

#: One engine each; told apart by the colour-blind too.
SERIES = (BLUE, RED, GREEN, PINK, SKY, ORANGE, BROWN, GREY)

#: Colours of the pictures -> variables of the page, which have other values in the dark.
VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--line",
    PAPER: "--card",
    BLUE: "--blue",
    RED: "--red",
    GREEN: "--green",
    PINK: "--pink",
}
