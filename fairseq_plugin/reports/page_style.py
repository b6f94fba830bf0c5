"""The report's style sheet. Colours: blue and vermilion of Okabe & Ito, told apart by every kind of sight."""

STYLE = """
:root{color-scheme:light dark;--paper:#fbfaf8;--card:#fff;--ink:#1d2329;--soft:#5c6670;--rule:#e4e1dc;
--grid:#eceae6;--real:#0072b2;--synthetic:#d55e00;--valid:#1b8a6b;--chip:#eef3f7;
--good:#1b8a6b;--fair:#b07c00;--bad:#c2362b;--open:#5c6670}
@media (prefers-color-scheme:dark){:root{--paper:#14181c;--card:#1c2126;--ink:#e8e6e1;--soft:#a2abb3;
--rule:#313840;--grid:#2a3037;--real:#56b4e9;--synthetic:#f0883e;--valid:#4cc29d;--chip:#27303a;
--good:#4cc29d;--fair:#e0b040;--bad:#ff7b6e;--open:#a2abb3}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",
Roboto,"Helvetica Neue","Noto Sans","DejaVu Sans",sans-serif}
main{max-width:76rem;margin:0 auto;padding:1.6rem 1.25rem 4rem}
h1{font-size:clamp(1.5rem,4vw,2.1rem);line-height:1.15;letter-spacing:-.02em;margin:.05em 0 .3em;
overflow-wrap:anywhere}
h2{font-size:1.25rem;letter-spacing:-.01em;margin:2.6rem 0 .3rem}
h3{font-size:1rem;margin:1.2rem 0 .4rem}
p{margin:.3rem 0 .9rem;max-width:48rem}
.eyebrow{text-transform:uppercase;letter-spacing:.12em;font-size:.75rem;font-weight:600;color:var(--soft);
margin:0}
.verdict{display:flex;gap:.8rem;align-items:flex-start;background:var(--card);border:1px solid var(--rule);
border-left:.4rem solid var(--tone);border-radius:10px;padding:.8rem 1rem;margin:.4rem 0 .8rem;max-width:none;
font-size:1.08rem;line-height:1.4;overflow-wrap:anywhere}
.verdict i{font-style:normal;font-weight:700;color:var(--tone);font-size:1.3rem;line-height:1.2}
.verdict b{font-weight:600}
.good{--tone:var(--good)}.fair{--tone:var(--fair)}.bad{--tone:var(--bad)}.open{--tone:var(--open)}
.note{color:var(--soft);font-size:.9rem}p.note:empty{display:none}
.tiles{display:grid;grid-template-columns:repeat(3,1fr);gap:.8rem;margin:.8rem 0 0}
.tile,.card{background:var(--card);border:1px solid var(--rule);border-radius:10px}
.tile{padding:.7rem 1rem}
.tile b{display:block;font-size:1.5rem;line-height:1.2;letter-spacing:-.02em;
font-variant-numeric:tabular-nums}
.tile span{color:var(--soft);font-size:.86rem;line-height:1.35;display:block;margin-top:.1rem}
.first{display:grid;grid-template-columns:minmax(0,5fr) minmax(0,7fr);gap:0 1.4rem;align-items:start}
.first h2{margin-top:1.4rem;font-size:1.1rem}
.card{padding:.9rem 1.1rem;margin:.8rem 0}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,21rem),36rem));gap:.8rem;
margin:.8rem 0}
figure{margin:0;background:var(--card);border:1px solid var(--rule);border-radius:10px;
padding:.9rem 1rem .6rem}
figcaption{font-weight:600;font-size:.95rem;margin-bottom:.3rem;overflow-wrap:anywhere}
figure svg{display:block;width:100%;height:auto}
.key{font-size:.84rem;color:var(--soft);display:flex;flex-wrap:wrap;gap:.15rem 1rem;margin:.1rem 0 .5rem}
.key i{display:inline-block;width:.75em;height:.75em;border-radius:2px;margin-right:.4em;
vertical-align:-.04em}
svg text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif;
fill:var(--soft)}
.grid{stroke:var(--grid)}.axis{stroke:var(--soft);stroke-opacity:.5}
.line{fill:none;stroke-width:2.2;stroke-linejoin:round;stroke-linecap:round}
.line.axis{stroke-width:1;stroke-dasharray:4 4}
.line.real{stroke:var(--real)}.line.valid{stroke:var(--valid)}
.dot.real,i.real{fill:var(--real);background:var(--real)}
i.synthetic{background:var(--synthetic)}
.dot.valid,i.valid{fill:var(--valid);background:var(--valid)}
.line.synthetic{stroke:var(--synthetic)}i.axis{background:var(--soft)}
.dot.synthetic{fill:var(--synthetic)}.dot.axis{fill:var(--soft)}
.area{fill-opacity:.22;stroke-width:1.8}
.area.real,.area.train{fill:var(--real);stroke:var(--real)}
.area.synthetic{fill:var(--synthetic);stroke:var(--synthetic)}
.area.valid{fill:var(--valid);stroke:var(--valid)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{padding:.36rem .5rem;text-align:right;border-bottom:1px solid var(--rule);
font-variant-numeric:tabular-nums;vertical-align:top}
th:first-child,td:first-child{text-align:left;padding-left:0;font-variant-numeric:normal}
th:last-child,td:last-child{padding-right:0}
thead th{color:var(--soft);font-weight:600;font-size:.82rem;vertical-align:bottom}
tbody tr:last-child>*{border-bottom:0}
tbody th{font-weight:500;min-width:7rem}
.label{font-weight:600;overflow-wrap:anywhere}
.faint{color:var(--soft);opacity:.75}
small{color:var(--soft)}.labels td,.together{white-space:nowrap}
table.plain td,table.texts td,table.texts th{text-align:left;overflow-wrap:anywhere}
table.texts th{min-width:12rem}table.compared th{min-width:9rem}
code{font:.86em ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;
overflow-wrap:anywhere}
.track{display:block;position:relative;height:.5rem;margin:.35rem .3rem .15rem 0;border-radius:9px;
background:var(--grid)}
.track i{position:absolute;top:-.12rem;width:.32rem;height:.74rem;margin-left:-.16rem;border-radius:2px;
outline:1px solid var(--card)}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:0 1.2rem;padding:.45rem 0;
border-bottom:1px solid var(--rule)}
.stacked{padding:.1rem 1rem}
.pair:last-child{border-bottom:0}
.pair p{margin:.15rem 0 0;overflow-wrap:anywhere;overflow:hidden;max-width:none;font-size:.92rem;
line-height:1.36}
.pair .from{color:var(--soft)}
.who{font-size:.76rem;color:var(--soft);display:flex;flex-wrap:wrap;gap:.1rem .45rem;align-items:center}
.who .together{display:inline-flex;gap:.4rem;align-items:center}
p.sample{white-space:pre-wrap;overflow-wrap:anywhere;max-width:none;margin:.2rem 0 0;font-size:.92rem;
max-height:30rem;overflow:auto}
.samples{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,14.5rem),1fr));gap:0 .8rem}
.chip{background:var(--chip);color:var(--ink);border-radius:9px;padding:.02rem .5rem;font-weight:600;
max-width:100%;overflow-wrap:anywhere}
.meter{display:inline-block;width:3.5rem;height:.45rem;border-radius:9px;background:var(--grid);
overflow:hidden;vertical-align:.05rem}
.meter i{display:block;height:100%;background:var(--real)}
details{margin:.5rem 0}summary{cursor:pointer;font-weight:600}
ul.texts{padding-left:1.1rem;margin:.3rem 0 1rem}
ul.texts li{overflow-wrap:anywhere;overflow:hidden;margin:.2rem 0}
footer{margin-top:3rem;color:var(--soft);font-size:.85rem;border-top:1px solid var(--rule);padding-top:1rem}
@media (max-width:56rem){.first{grid-template-columns:minmax(0,1fr)}}
@media (max-width:40rem){main{padding:1.2rem .9rem 3rem}.pair{grid-template-columns:1fr;gap:.4rem}
th,td{padding:.36rem .3rem}tbody th{min-width:5rem}table.texts th{min-width:8rem}
.card{padding:.8rem .8rem}.stacked{padding:.1rem .8rem}.tiles{grid-template-columns:1fr;gap:.5rem}
.tile{display:flex;gap:.8rem;align-items:baseline;padding:.45rem .8rem}
.tile b{font-size:1.25rem;min-width:4rem}
table.compared{font-size:.84rem}table.compared th{min-width:7rem}}
@media print{:root{--paper:#fff;--card:#fff;--ink:#000;--soft:#444;--rule:#ccc;--grid:#e5e5e5;--real:#0072b2;
--synthetic:#d55e00;--valid:#1b8a6b;--chip:#eee}
body{font-size:10.5pt}main{max-width:none;padding:0}*{print-color-adjust:exact;
-webkit-print-color-adjust:exact}
figure,.tile,.pair,tr{break-inside:avoid}h2,h3,h2+p{break-after:avoid}.scroll{overflow:visible}
.tile,.card,figure{border-color:#bbb}}
"""
