/** How the picture looks: light and dark, wide and narrow, without anything from elsewhere. */

export const PICTURE_STYLE = `
:root { color-scheme: light dark; --ground: #fcfcfa; --ink: #1d2127; --soft: #5d6672; --line: #d8dbe0; --lane: #f0f1f3;
  --t0: #2463b4; --t1: #a2480b; --t2: #6d3fa8; --t3: #1a7350; --bad: #c01c28; --wait-a: #f6d6a5; --wait-b: #e0a13c;
  --exclusive: #b9c9e2; --shared: #dfe9f6; --mutex: #d5d5dc; --transfer: #cfe8e2; --f0: #cfe0f7; --f1: #f9d9c2; --f2: #e2d5f3;
  --zero: #eceef0; --free: #fcfcfa; --edge: #8b94a1; }
@media (prefers-color-scheme: dark) { :root { --ground: #15181c; --ink: #e6e8eb; --soft: #a0a8b3; --line: #363c45; --lane: #1f2329;
  --t0: #7db2f5; --t1: #f0a06a; --t2: #c3a0f2; --t3: #6ecba4; --bad: #ff7b72; --wait-a: #4f3a17; --wait-b: #8a651f;
  --exclusive: #33486a; --shared: #26354b; --mutex: #3a3d46; --transfer: #22463d; --f0: #1f3a5f; --f1: #5a3115; --f2: #432c63;
  --zero: #2a2f36; --free: #15181c; --edge: #737d8a; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 1.2rem; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
header, section { max-width: 46rem; }
section.wide { max-width: none; }
h1 { font-size: 1.45rem; line-height: 1.25; margin: 0 0 .4rem; }
h2 { font-size: 1.1rem; margin: 1.8rem 0 .5rem; }
p, ul, ol { margin: .4rem 0; }
code, .source { font: .86em ui-monospace, monospace; overflow-wrap: anywhere; }
.verdict { border-left: 5px solid var(--bad); padding: .3rem 0 .3rem .9rem; margin: 1rem 0; }
.verdict.right { border-color: var(--t3); }
.verdict .message { color: var(--soft); font-size: .92rem; }
.soft { color: var(--soft); }
.t0 { color: var(--t0); } .t1 { color: var(--t1); } .t2 { color: var(--t2); } .t3 { color: var(--t3); }
a { color: inherit; }
:focus-visible { outline: 3px solid var(--t0); outline-offset: 1px; border-radius: 3px; }
.drawing { display: flex; align-items: flex-start; border-top: 1px solid var(--line); border-bottom: 1px solid var(--line); }
.names { flex: none; }
.scroll { overflow-x: auto; flex: 1 1 auto; min-width: 0; }
svg { display: block; }
svg text { font: 11px system-ui, sans-serif; fill: var(--ink); }
svg .thread { font-size: 14px; font-weight: 700; } svg .group { font-weight: 700; } svg .row { fill: var(--soft); }
.names .lane-0 { fill: var(--t0); } .names .lane-1 { fill: var(--t1); } .names .lane-2 { fill: var(--t2); } .names .lane-3 { fill: var(--t3); }
.steps .lane-0 { color: var(--t0); } .steps .lane-1 { color: var(--t1); } .steps .lane-2 { color: var(--t2); } .steps .lane-3 { color: var(--t3); }
.axis { text-anchor: middle; fill: var(--soft); } .axis.missing { fill: var(--bad); }
.ground { fill: var(--lane); fill-opacity: .75; }
.column { fill: var(--t0); opacity: 0; }
.active { stroke: currentColor; stroke-width: 4; stroke-linecap: round; opacity: .45; }
.symbol { fill: currentColor; stroke: currentColor; stroke-width: 1; }
.symbol.sleeps { fill: var(--ground); stroke-width: 2.5; } .symbol.dies { fill: none; stroke-width: 4; }
.hit { fill: transparent; } .event:hover .hit { fill: var(--line); }
.event:focus-visible { outline: none; } .event:focus-visible .hit { stroke: var(--t0); stroke-width: 3; }
.bar rect { stroke: var(--edge); stroke-width: 1; }
.exclusive rect { fill: var(--exclusive); } .shared rect { fill: var(--shared); stroke-dasharray: 4 2; } .mutex rect { fill: var(--mutex); }
.transfer rect { fill: var(--transfer); } .wait rect { fill: url(#hatch); stroke: var(--wait-b); }
.hatch-ground { fill: var(--wait-a); } .hatch-line { fill: var(--wait-b); opacity: .55; }
.bar text { paint-order: stroke; stroke: var(--ground); stroke-width: 2.5px; stroke-opacity: .55; stroke-linejoin: round; }
.span rect { fill: var(--zero); stroke: var(--line); } .span.file-0 rect { fill: var(--f0); } .span.file-1 rect { fill: var(--f1); } .span.file-2 rect { fill: var(--f2); }
.span.zero rect { fill: var(--zero); } .span.free rect, .span.empty rect { fill: var(--free); stroke: var(--edge); stroke-dasharray: 3 3; }
.span.dirty rect { stroke: var(--ink); stroke-width: 1.6; }
.failure line { stroke: var(--bad); stroke-width: 3; } .failure path { fill: var(--bad); } .failure text { fill: var(--ground); font-weight: 700; font-size: 12px; }
.legend { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: .35rem 1.2rem; list-style: none; padding: 0; font-size: .92rem; }
.legend li { display: flex; gap: .6rem; align-items: center; } .legend svg { flex: none; color: var(--t0); }
.listing { list-style: none; padding: 0; max-width: 60rem; }
.listing > li { padding: .35rem 0; border-bottom: 1px solid var(--line); }
.listing .details, .listing nav { display: none; }
.listing > li:target { position: fixed; left: 0; right: 0; bottom: 0; max-height: 60vh; overflow: auto; margin: 0; padding: .8rem 1.2rem 1rem;
  background: var(--ground); border-top: 3px solid var(--t0); box-shadow: 0 -6px 24px #0005; z-index: 1; }
.listing > li:target .details { display: block; } .listing > li:target nav { display: flex; gap: 1.2rem; margin-bottom: .3rem; }
.listing nav a { padding: .25rem 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem .9rem; margin: .4rem 0 0; font-size: .92rem; } dt { color: var(--soft); } dd { margin: 0; }
footer { margin: 2rem 0 30vh; color: var(--soft); font-size: .9rem; }
@media (max-width: 40rem) { body { padding: .8rem; } dl { grid-template-columns: 1fr; } dt { margin-top: .3rem; } }
@media print { .scroll { overflow: visible; } .listing .details { display: block; } }
`;
