"""The figures of the report as SVG, made by hand: two line charts and one of intervals. Needs no package."""

from html import escape

PALETTE = ("#1b6ca8", "#d1495b", "#3a8c5c", "#8a5fbf", "#c77f1a", "#2aa5a0", "#777777")
STYLE = "font-family: system-ui, sans-serif; font-size: 12px; background: white"
LEFT, RIGHT, TOP, BOTTOM = 50, 150, 28, 40


def text(x, y, content, anchor="start", color="#222"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{color}">{escape(content)}</text>'


def line(x1, y1, x2, y2, color="#ddd", width=1):
    points = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {points} stroke="{color}" stroke-width="{width}"/>'


def svg(width, height, title, parts):
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" style="{STYLE}" role="img">'
    return "\n".join([head, f"<title>{escape(title)}</title>", text(8, 16, title), *parts, "</svg>"]) + "\n"


def ticks(low, high, count=5):
    """Round numbers between two ends."""
    step = 10.0 ** -3
    for factor in (2, 2.5, 2) * 6:
        if (high - low) / step <= count:
            break
        step *= factor
    first = -(-low // step)
    return [(first + n) * step for n in range(int((high - first * step) / step + 1e-9) + 1)]


def lines(title, x_title, series, chance=None):
    """A line chart. `series`: name -> [(x, y)]. `chance` is drawn as a gray line."""
    width, height = 640, 320
    xs = [x for points in series.values() for x, _ in points]
    ys = [y for points in series.values() for _, y in points] + ([chance] if chance is not None else [])
    low, high = min(ys), max(ys)
    low, high = low - 0.05 * (high - low), high + 0.05 * (high - low)
    span = max(xs) - min(xs) or 1

    def at(x, y):
        across = LEFT + (x - min(xs)) / span * (width - LEFT - RIGHT)
        return across, height - BOTTOM - (y - low) / (high - low or 1) * (height - TOP - BOTTOM)

    parts = []
    for y in ticks(low, high):
        parts += [line(LEFT, at(0, y)[1], width - RIGHT, at(0, y)[1]), text(LEFT - 6, at(0, y)[1] + 4, f"{y:g}", "end")]
    for x in sorted(set(xs))[:: 1 if len(set(xs)) < 8 else 2]:
        parts.append(text(at(x, low)[0], height - BOTTOM + 16, f"{x:g}", "middle"))
    parts.append(text((LEFT + width - RIGHT) / 2, height - 6, x_title, "middle"))
    if chance is not None:
        parts += [line(LEFT, at(0, chance)[1], width - RIGHT, at(0, chance)[1], "#888")]
        parts += [text(LEFT + 4, at(0, chance)[1] - 4, "chance", color="#888")]
    for n, (name, points) in enumerate(series.items()):
        color = PALETTE[n % len(PALETTE)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*point) for point in points))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="1.6"/>')
        x, y = width - RIGHT + 12, TOP + 18 * n + 8
        parts += [line(x, y - 4, x + 18, y - 4, color, 2), text(x + 24, y, name)]
    return svg(width, height, title, parts)


def intervals(title, estimates, margin):
    """A row for each name: the mean and its 95 % interval, with the margin of equivalence shaded."""
    left, width, step = 130, 640, 22
    height = TOP + step * len(estimates) + BOTTOM
    ends = [end for it in estimates.values() for end in ((it.low, it.high) if it.half == it.half else (it.mean,) * 2)]
    low, high = min([*ends, -margin]), max([*ends, margin])
    low, high = low - 0.03 * (high - low), high + 0.03 * (high - low)

    def at(x):
        return left + (x - low) / (high - low) * (width - left - 20)

    bottom = height - BOTTOM
    parts = [
        f'<rect x="{at(-margin):.1f}" y="{TOP}" width="{at(margin) - at(-margin):.1f}" height="{bottom - TOP}" '
        'fill="#e8f1e8"/>',
        line(at(0), TOP, at(0), bottom, "#888"),
    ]
    for x in ticks(low, high, 7):
        parts.append(text(at(x), bottom + 16, f"{x:g}", "middle"))
    for n, (name, it) in enumerate(estimates.items()):
        y = TOP + step * (n + 0.5)
        parts.append(text(left - 8, y + 4, name, "end"))
        if it.half == it.half:
            parts.append(line(at(it.low), y, at(it.high), y, PALETTE[0], 2))
        parts.append(f'<circle cx="{at(it.mean):.1f}" cy="{y:.1f}" r="3.5" fill="{PALETTE[0]}"/>')
    return svg(width, height, title, parts)
