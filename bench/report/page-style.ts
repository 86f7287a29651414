/** How a report looks: light and dark, wide and narrow, without anything from elsewhere. Colours of lines after Okabe and Ito. */

export const PAGE_STYLE = `
:root { color-scheme: light dark; --ground: #fdfdfb; --ink: #1c2026; --soft: #59616c; --line: #d9dce1; --grid: #eceef0;
  --accent: #0b62a8; --line-0: #0b62a8; --line-1: #bf4a0a; --line-2: #00775a; --line-3: #a23f7c; --line-4: #7a6200; --line-5: #1780a6; --line-6: #5b5b66; }
@media (prefers-color-scheme: dark) { :root { --ground: #14171b; --ink: #e7e9ec; --soft: #a3abb6; --line: #353b44; --grid: #23282e;
  --accent: #74b9f7; --line-0: #74b9f7; --line-1: #ff9d5c; --line-2: #4ecba3; --line-3: #e79acb; --line-4: #dfc04a; --line-5: #7fd8ee; --line-6: #b9bcc6; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; padding: 1.6rem 1.4rem 4rem; max-width: 70rem; background: var(--ground); color: var(--ink);
  font: 16px/1.55 system-ui, sans-serif; font-variant-numeric: tabular-nums; }
header, .text { max-width: 44rem; }
h1 { font-size: 1.55rem; line-height: 1.25; margin: 0 0 .3rem; }
h2 { font-size: 1.15rem; margin: 2.6rem 0 .3rem; }
p { margin: .35rem 0; }
.soft { color: var(--soft); }
.verdict { border-left: 4px solid var(--accent); padding: .1rem 0 .1rem 1rem; margin: 1.2rem 0 1.4rem; max-width: 46rem; }
.verdict p:first-child { font-size: 1.12rem; line-height: 1.5; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1rem 2rem; margin-top: .8rem; }
figure { margin: 0; padding: .4rem .3rem; border-radius: 4px; min-width: 0; }
figcaption { font-weight: 600; font-size: .95rem; } figcaption span { color: var(--soft); font-weight: 400; }
figure output { display: block; min-height: 1.5em; font-size: .85rem; color: var(--soft); }
.plot { min-width: 0; overflow: hidden; }
.u-axis { color: var(--soft); } .u-hz .u-cursor-x, .u-vt .u-cursor-y { border-right: 1px solid var(--soft); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 1px; border-radius: 4px; }
.scroll { overflow-x: auto; margin: .6rem 0; }
table { border-collapse: collapse; font-size: .92rem; }
caption { text-align: left; color: var(--soft); padding-bottom: .3rem; }
th, td { padding: .28rem .9rem .28rem 0; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th { font-weight: 600; } th.name, td.name { text-align: left; } thead th { color: var(--soft); font-weight: 500; }
.swatch { display: inline-block; width: .7em; height: .7em; border-radius: 50%; margin-right: .5em; background: var(--line-0); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1.2rem; margin: .5rem 0; max-width: 46rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
a { color: var(--accent); }
a.button { display: inline-block; border: 1px solid var(--accent); border-radius: 5px; padding: .4rem .9rem; text-decoration: none; }
footer { margin-top: 2.6rem; color: var(--soft); font-size: .88rem; }
@media (max-width: 40rem) { body { padding: 1rem .9rem 3rem; } h1 { font-size: 1.35rem; } dl { grid-template-columns: 1fr; } dt { margin-top: .4rem; } }
@media print { .scroll { overflow: visible; } figure { break-inside: avoid; } }
`;
