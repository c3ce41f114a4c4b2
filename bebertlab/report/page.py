"""How the HTML report looks, and which colour of a plot is which of the page."""

from __future__ import annotations

#: colours that plots are drawn in, by the name of the page's variable that replaces them; the series are those of
#: Okabe and Ito (colour-blind safe), in an order that neighbours differ in lightness too
INK, MUTED, LINE, PAPER = "#1b1f24", "#656d76", "#d8dee4", "#fefefe"
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")

THEME = {
    INK: "ink",
    MUTED: "muted",
    LINE: "line",
    PAPER: "paper",
    **{colour: f"series-{place}" for place, colour in enumerate(SERIES)},
}

STYLE = """
:root {
  --ink: #1b1f24; --muted: #656d76; --line: #d8dee4; --paper: #ffffff; --shade: #f6f8fa; --accent: #0969da;
  --best: #e8f3ec; --warn: #9a6700; --warn-shade: #fff8e6;
  --series-0: #0072b2; --series-1: #d55e00; --series-2: #009e73; --series-3: #cc79a7; --series-4: #e69f00;
  --series-5: #56b4e9;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e6edf3; --muted: #9aa4af; --line: #363d46; --paper: #14181d; --shade: #1d2229; --accent: #6cb0ff;
    --best: #173126; --warn: #e3b341; --warn-shade: #2b2413;
    --series-0: #4aa8e0; --series-1: #f08540; --series-2: #2cc295; --series-3: #dd97bd; --series-4: #f0b535;
    --series-5: #8fd0f5;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 78rem; margin: 0 auto; padding: 2.5rem 1.5rem 5rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .75rem; letter-spacing: -.01em; }
h2 { font-size: 1.4rem; margin: 3rem 0 .75rem; padding-bottom: .35rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p, ul { margin: .6rem 0; max-width: 48rem; }
ul { padding-left: 1.25rem; } li { margin: .35rem 0; }
a { color: var(--accent); text-decoration: none; } a:hover { text-decoration: underline; }
nav { display: flex; flex-wrap: wrap; gap: .35rem 1.1rem; margin: 1.5rem 0 0; padding: .7rem 0; font-size: .9rem;
  border-top: 1px solid var(--line); border-bottom: 1px solid var(--line); }
.note { background: var(--warn-shade); border-left: 4px solid var(--warn); padding: .7rem 1rem; border-radius: 4px; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { padding: .38rem .65rem; text-align: left; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--muted); font-weight: 600; border-bottom-width: 2px; vertical-align: bottom; }
td:last-child:not(.number) { white-space: normal; min-width: 6rem; }
.number { text-align: right; }
tbody tr:hover { background: var(--shade); }
.best td { background: var(--best); font-weight: 650; }
figure { margin: 1.25rem 0; } figure svg { display: block; max-width: 100%; height: auto; }
figcaption { color: var(--muted); font-size: .875rem; margin-top: .4rem; max-width: 48rem; }
pre { background: var(--shade); border: 1px solid var(--line); border-radius: 6px; padding: .8rem 1rem;
  overflow-x: auto; font-size: .82rem; line-height: 1.45; }
code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
summary { cursor: pointer; color: var(--accent); }
@media print { main { max-width: none; padding: 0; } nav { display: none; } h2 { break-after: avoid; }
  tr, figure { break-inside: avoid; } }
"""
