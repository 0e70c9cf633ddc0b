# SPDX-License-Identifier: GPL-3.0-or-later
"""How the page of a verdict looks: the blue and the vermilion that colour-blind people tell apart (Okabe and Ito, 2008)."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --back: #ffffff; --text: #1c1e21; --quiet: #5f6670; --edge: #d7dbe0; --card: #f6f7f9;
  --pass: #0063a8; --fail: #b84300; --none: #5f6670; --on: #ffffff; --line: #1c1e21; --allowed: #0072b21f }
@media (prefers-color-scheme: dark) { :root { --back: #16181b; --text: #e6e8ea; --quiet: #a0a7b0; --edge: #363b42;
  --card: #1f2226; --pass: #6fbdf0; --fail: #ff9147; --none: #a0a7b0; --on: #16181b; --line: #e6e8ea; --allowed: #56b4e92b } }
body { margin: 0 auto; max-width: 1040px; padding: 24px 20px 60px; background: var(--back); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif }
h1 { font-size: 26px; margin: 0 12px 0 0; display: inline-block } h2 { font-size: 19px; margin: 34px 0 10px }
h3 { font-size: 15px; margin: 0 0 8px } h4 { font-size: 13px; margin: 12px 0 0; color: var(--quiet); font-weight: 600 }
header p { margin: 8px 0 0 } .quiet { color: var(--quiet); font-weight: 400 } header .quiet { font-size: 13px }
.badge { display: inline-block; padding: 1px 9px; border-radius: 10px; font-size: 13px; font-weight: 600; color:
  var(--on);
  white-space: nowrap } .badge.large { font-size: 18px; padding: 3px 14px; border-radius: 16px; vertical-align: 4px }
.badge.pass { background: var(--pass) } .badge.fail { background: var(--fail) } .badge.none { background: var(--none) }
.sign { font-weight: 700 } .sign.pass { color: var(--pass) } .sign.fail { color: var(--fail) } .sign.none { color:
  var(--none) }
.still, details { background: var(--card); border: 1px solid var(--edge); border-radius: 8px; padding: 10px 14px;
  margin: 0 0 10px }
.images { display: flex; flex-wrap: wrap; gap: 8px } figure { margin: 0 } img { display: block; border-radius: 4px;
  height: 168px }
figcaption { font-size: 12px; color: var(--quiet) } summary { cursor: pointer }
.wide { overflow-x: auto } table { border-collapse: collapse; width: 100%; margin: 10px 0 4px; font-size: 14px }
th { text-align: left; font-weight: 600; color: var(--quiet); font-size: 12px }
th, td { padding: 3px 12px 3px 0; border-bottom: 1px solid var(--edge); vertical-align: top }
td:nth-child(4), td:nth-child(5), td:nth-child(6) { font-variant-numeric: tabular-nums; white-space: nowrap }
pre { background: var(--card); border: 1px solid var(--edge); border-radius: 6px; padding: 8px 10px; overflow-x:
  auto; font-size: 13px }
.plot { width: 100%; max-width: 760px; display: block } .plot text { font-size: 11px; fill: var(--quiet) }
.plot .y { text-anchor: end } .plot .x { text-anchor: middle } .plot .grid { stroke: var(--edge) }
.plot .line { fill: none; stroke: var(--line); stroke-width: 1.6 } .plot .dot { fill: var(--line) }
.plot .bar { stroke: var(--pass); stroke-dasharray: 5 4 }
.plot .allowed { fill: var(--allowed) } .plot .worst { fill: var(--fail) }
footer { margin-top: 40px; color: var(--quiet); font-size: 12px; overflow-wrap: anywhere } footer p { margin: 2px 0 }
"""
