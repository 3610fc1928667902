"""The words of the scenes: every caption and every prompt of the bundled models is made of these."""

COLOURS = {
    "red": (0.82, 0.16, 0.16),
    "green": (0.18, 0.60, 0.26),
    "blue": (0.17, 0.32, 0.80),
    "yellow": (0.94, 0.82, 0.22),
    "purple": (0.52, 0.22, 0.66),
    "orange": (0.93, 0.50, 0.13),
    "white": (0.93, 0.93, 0.92),
    "black": (0.13, 0.13, 0.14),
    "cyan": (0.22, 0.76, 0.80),
    "pink": (0.94, 0.58, 0.70),
    "brown": (0.47, 0.30, 0.17),
    "gray": (0.55, 0.55, 0.56),
}
SHAPES = ("ball", "square", "triangle", "ring", "star")
TEXTURES = ("stripes", "checks", "dots", "bricks", "wood", "clouds", "gradient")
PLACES = ("left", "right", "top", "bottom", "center")
REMOVAL_PROMPT = "remove the instance of object"

OTHERS = """
a an at on and with in no picture photo scene background shadow reflection floor wall table cat cup coffee spoon rocket
flag model helmet patch clean empty small large blurry low quality circle
"""
WORDS = tuple(
    dict.fromkeys([*REMOVAL_PROMPT.split(), *OTHERS.split(), *COLOURS, *SHAPES, *TEXTURES, *PLACES])  # each once
)
