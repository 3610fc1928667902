"""The page's looks. Inline, so that the page is one file."""

CSS = """
:root { --ink: #111827; --soft: #4b5563; --line: #e5e7eb; --accent: #0072b2; --warn: #92400e; }
* { box-sizing: border-box; }
body { font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  color: var(--ink); background: #fff; max-width: 1140px; margin: 0 auto; padding: 32px 24px 80px; }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 4px; letter-spacing: -0.02em; }
h2 { font-size: 23px; margin: 56px 0 4px; padding-top: 20px; border-top: 2px solid var(--ink);
  letter-spacing: -0.01em; }
h3 { font-size: 17px; margin: 32px 0 4px; }
p { margin: 6px 0 12px; max-width: 76ch; }
a { color: var(--accent); text-decoration: none; } a:hover { text-decoration: underline; }
code { font: 0.9em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; background: #f3f4f6;
  padding: 1px 4px; border-radius: 3px; }
.brand { color: var(--accent); font-weight: 600; margin: 0 0 4px; } .note, .files { color: var(--soft);
  font-size: 13px; }
.standin { background: #fffbeb; border-left: 3px solid #f59e0b; padding: 8px 12px; max-width: none; }
nav ol { columns: 2; padding-left: 20px; font-size: 14px; }
dl.about { display: grid; grid-template-columns: 110px 1fr; gap: 3px 16px; font-size: 13px; margin: 12px 0;
  padding: 14px 16px; background: #f9fafb; border: 1px solid var(--line); border-radius: 6px; }
dl.about dt { color: var(--soft); font-weight: 600; } dl.about dd { margin: 0; overflow-wrap: anywhere; }
.failures { background: #fef2f2; border-left: 3px solid #b3261e; padding: 8px 12px; font-size: 13px; margin: 12px 0; }
.failures p { margin: 0; font-weight: 600; } .failures ul { margin: 4px 0 0; padding-left: 18px;
  overflow-wrap: anywhere; }
table.results { border-collapse: collapse; width: 100%; font-size: 13px; margin: 14px 0;
  font-variant-numeric: tabular-nums;
  }
table.results caption { caption-side: bottom; text-align: left; color: var(--soft); font-size: 12px;
  padding-top: 8px; }
table.results th { border-bottom: 1.5px solid var(--ink); padding: 5px 8px; font-weight: 600;
  vertical-align: bottom; }
table.results td { border-bottom: 1px solid var(--line); padding: 5px 8px; vertical-align: top; }
table.results tr.baseline td { background: #f0f7fb; } table.results tr:hover td { background: #f9fafb; }
tr.not_applied td { color: var(--warn); } tr.error td, tr.oom td, tr.timeout td, tr.unavailable td, tr.refused td,
tr.missing td, tr.invalid td { color: #b3261e; } tr.skipped td { color: var(--soft); }
figure { margin: 14px 0 8px; } figcaption { color: var(--soft); font-size: 12px; max-width: none; }
figure.plot img { display: block; }
figure.strip { margin-top: 18px; } table.strip { border-collapse: collapse; font-size: 11px; line-height: 1.35;
  color: var(--soft); margin-bottom: 10px; }
table.strip td { overflow-wrap: anywhere; } table.strip b { font-size: 12px; color: var(--ink); }
  table.strip img { border-radius: 3px; }
table.strip b.marked { color: var(--warn); }
@media print { body { max-width: none; padding: 0; } figure, tr { break-inside: avoid; } }
"""
