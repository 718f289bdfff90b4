"""What the line drawings share: the palette and a small SVG drawing board."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

IMAGES = Path(__file__).parents[1] / "images"

INK, MUTED, LINE, WHITE = "#1f2933", "#52606d", "#8895a3", "#ffffff"
BLUE = "#1f62a8"  # the skip branch, kept pixels
ORANGE = "#b85a08"  # the main branch, detail
GREEN = "#2b7549"  # pictures and the pixel shuffle
RED = "#b3261e"  # what goes wrong
FILLS = {  # the light tone inside each outline
    INK: "#f1f4f7",
    LINE: "#f1f4f7",
    BLUE: "#d8e7f6",
    ORANGE: "#fce2c4",
    GREEN: "#d9efe0",
    RED: "#fbe3e1",
}
HATCH = "url(#hatch)"
SANS = "Helvetica, Arial, 'DejaVu Sans', sans-serif"

Style = dict[str, Any]  # attributes of an SVG element; a `_` in a name stands for `-`
LEFT: Style = {"text_anchor": "start"}
RIGHT: Style = {"text_anchor": "end"}
MONO: Style = {"font_family": "Menlo, Consolas, 'DejaVu Sans Mono', monospace"}
BOLD: Style = {"font_weight": "bold"}
HALO: Style = {"paint_order": "stroke", "stroke": WHITE, "stroke_width": 6}  # behind words


class Board:
    """SVG on a white card, 1000 pixels wide; coordinates are pixels from the top left.

    Extra keywords become attributes of the SVG element: `stroke_dasharray="4 3"`, `**BOLD`.
    """

    def __init__(self, height: int, title: str) -> None:
        tips = "".join(
            f'<marker id="tip{color[1:]}" viewBox="0 0 8 8" refX="7" refY="4" '
            'markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto">'
            f'<path d="M0 0 L8 4 L0 8 z" fill="{color}"/></marker>'
            for color in (INK, MUTED, LINE, BLUE, ORANGE, GREEN, RED)
        )
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1000 {height}" '
            f'width="1000" height="{height}" role="img" font-family="{SANS}">',
            f"<title>{escape(title)}</title>",
            f'<defs>{tips}<pattern id="hatch" width="6" height="6" '
            'patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
            f'<rect width="6" height="6" fill="{WHITE}"/>'
            f'<rect width="2" height="6" fill="{LINE}"/></pattern></defs>',
            f'<rect x="1" y="1" width="998" height="{height - 2}" rx="10" '
            f'fill="{WHITE}" stroke="#d5dce3"/>',
        ]

    def add(self, tag: str, words: str = "", **attributes: str | float) -> None:
        """Any SVG element."""
        parts = [tag]
        for name, value in attributes.items():
            shown = value if isinstance(value, str) else f"{value:g}"
            parts.append(f'{name.replace("_", "-")}="{shown}"')
        start = "<" + " ".join(parts)
        self.parts.append(f"{start}>{escape(words)}</{tag}>" if words else f"{start}/>")

    def rect(
        self, x: float, y: float, w: float, h: float, color: str = LINE, fill: str = "", **more: Any
    ) -> None:
        """A rectangle from its top left corner; without a fill it takes its colour's light tone."""
        fill = fill or FILLS[color]
        style: Style = {"rx": 0, "fill": fill, "stroke": color, "stroke_width": 1.5}
        self.add("rect", x=x, y=y, width=w, height=h, **style | more)

    def path(self, points: str, color: str = INK, **more: Any) -> None:
        """An SVG path."""
        style: Style = {"fill": "none", "stroke": color, "stroke_width": 1.8}
        self.add("path", d=points, **style | {"stroke_linejoin": "round"} | more)

    def arrow(self, x1: float, y1: float, x2: float, y2: float, color: str = INK) -> None:
        """A straight arrow."""
        self.route(f"M{x1:g} {y1:g} L{x2:g} {y2:g}", color)

    def route(self, points: str, color: str = INK, **more: Any) -> None:
        """An SVG path that ends with an arrowhead."""
        self.path(points, color, **more, marker_end=f"url(#tip{color[1:]})")

    def divider(self, x: float, top: float, bottom: float) -> None:
        """A faint vertical line between two parts of a drawing."""
        self.path(f"M{x} {top} V{bottom}", "#d5dce3", stroke_width=1.5)

    def text(
        self, x: float, y: float, words: str, size: float = 14, color: str = INK, **more: Any
    ) -> None:
        """Words on a baseline, centred."""
        style: Style = {"font_size": size, "fill": color, "text_anchor": "middle"}
        self.add("text", words, x=x, y=y, **style | more)

    def heading(self, x: float, y: float, words: str, color: str = INK, **more: Any) -> None:
        """Bold words, a little larger than the rest."""
        self.text(x, y, words, 15, color, **more, **BOLD)

    def note(self, x: float, y: float, words: str, size: float = 13, **more: Any) -> None:
        """Small grey words."""
        self.text(x, y, words, size, MUTED, **more)

    def box(
        self, x: float, y: float, w: float, h: float, lines: list[str], color: str = LINE
    ) -> None:
        """A labelled box, its first line bold."""
        self.rect(x, y, w, h, color, rx=6)
        top = y + h / 2 - 18.9 * (len(lines) - 1) / 2 + 4.9
        for row, line in enumerate(lines):
            self.text(x + w / 2, top + row * 18.9, line, **({} if row else BOLD))

    def plus(self, x: float, y: float) -> None:
        """A circled plus."""
        self.add("circle", cx=x, cy=y, r=12, fill=WHITE, stroke=INK, stroke_width=1.8)
        self.path(f"M{x - 6:g} {y:g} H{x + 6:g} M{x:g} {y - 6:g} V{y + 6:g}")

    def grid(self, x: float, y: float, cells: int, cell: float, color: str) -> None:
        """A square of cells."""
        side = cells * cell
        self.rect(x, y, side, side, color)
        lines = [f"M{x + i * cell:g} {y:g} v{side:g}" for i in range(1, cells)]
        lines += [f"M{x:g} {y + i * cell:g} h{side:g}" for i in range(1, cells)]
        self.path(" ".join(lines), color, stroke_width=0.6)

    def save(self, name: str) -> None:
        """Write the SVG into docs/images."""
        (IMAGES / name).write_text("\n".join([*self.parts, "</svg>", ""]), "utf-8")
