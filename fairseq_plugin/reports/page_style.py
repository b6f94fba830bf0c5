"""The report's style sheet. Colours: blue and vermilion of Okabe & Ito, told apart by every kind of sight."""

STYLE = """
:root{--paper:#fbfaf8;--card:#fff;--ink:#1d2329;--soft:#5c6670;--rule:#e4e1dc;--grid:#eceae6;
--real:#0072b2;--synthetic:#d55e00;--valid:#1b8a6b;--chip:#eef3f7;
--kept:#2b6c8f;--r-special:#44525e;--r-not_ended:#ddaa33;--r-empty:#999999;--r-broken:#332288;
--r-control_characters:#bb5566;--r-unwritable:#aa4499;
--r-copy_of_test:#882255;--r-copy_of_valid:#cc6677;--r-copy_of_train:#ee8866;--r-conflict:#117733;
--r-duplicate:#88ccee}
@media (prefers-color-scheme:dark){:root{--paper:#14181c;--card:#1c2126;--ink:#e8e6e1;--soft:#a2abb3;
--rule:#313840;--grid:#2a3037;--real:#56b4e9;--synthetic:#f0883e;--valid:#4cc29d;--chip:#27303a;
--kept:#4f9dc4}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",
Roboto,
"Helvetica Neue","Noto Sans","DejaVu Sans",sans-serif}
main{max-width:62rem;margin:0 auto;padding:2.5rem 1.25rem 4rem}
h1{font-size:clamp(1.7rem,5vw,2.5rem);line-height:1.15;letter-spacing:-.02em;margin:.1em 0 .35em;
overflow-wrap:anywhere}
h2{font-size:1.3rem;letter-spacing:-.01em;margin:3rem 0 .3rem}
h3{font-size:1rem;margin:1.6rem 0 .5rem}
p{margin:.3rem 0 .9rem;max-width:44rem}
.eyebrow{text-transform:uppercase;letter-spacing:.12em;font-size:.75rem;font-weight:600;
color:var(--synthetic);margin:0}
.lede{font-size:1.12rem;color:var(--soft);max-width:46rem}
.lede b{color:var(--ink)}
.note{color:var(--soft);font-size:.9rem}
.tiles{display:grid;grid-template-columns:repeat(3,1fr);gap:.8rem;margin:1.6rem 0 0}
.tile,.card{background:var(--card);border:1px solid var(--rule);border-radius:10px}
.tile{padding:.9rem 1rem}
.tile b{display:block;font-size:1.65rem;line-height:1.2;letter-spacing:-.02em;
font-variant-numeric:tabular-nums}
.tile span{color:var(--soft);font-size:.86rem;line-height:1.35;display:block;margin-top:.15rem}
.card{padding:1rem 1.1rem;margin:.8rem 0}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,21rem),1fr));gap:.8rem;
margin:.8rem 0}
figure{margin:0;background:var(--card);border:1px solid var(--rule);border-radius:10px;
padding:.9rem 1rem .6rem}
figcaption{font-weight:600;font-size:.95rem;margin-bottom:.3rem}
figure svg{display:block;width:100%;height:auto}
.key{font-size:.84rem;color:var(--soft);display:flex;flex-wrap:wrap;gap:.15rem 1rem;margin:.1rem 0 .5rem}
.key span{white-space:nowrap}
.key i{display:inline-block;width:.75em;height:.75em;border-radius:2px;margin-right:.4em;
vertical-align:-.04em}
svg text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif;
fill:var(--soft)}
svg .value{font-size:11px;fill:var(--ink)}
.grid{stroke:var(--grid)}.axis{stroke:var(--soft);stroke-opacity:.5}
.line{fill:none;stroke-width:2.2;stroke-linejoin:round;stroke-linecap:round}
.line.real{stroke:var(--real)}.line.synthetic{stroke:var(--synthetic)}.line.valid{stroke:var(--valid)}
.dot.real,.bar.real,i.real{fill:var(--real);background:var(--real)}
.dot.synthetic,.bar.synthetic,i.synthetic{fill:var(--synthetic);background:var(--synthetic)}
.dot.valid,.bar.valid,i.valid{fill:var(--valid);background:var(--valid)}
.area{fill-opacity:.22;stroke-width:1.8}
.area.real{fill:var(--real);stroke:var(--real)}.area.synthetic{fill:var(--synthetic);stroke:var(--synthetic)}
.area.valid{fill:var(--valid);stroke:var(--valid)}
.bars{display:grid;gap:.5rem;margin:.4rem 0 .8rem}
.bar-row{display:grid;grid-template-columns:8rem 1fr 4rem;gap:.7rem;align-items:center;font-size:.9rem}
.bar-name{overflow:hidden;text-overflow:ellipsis;white-space:nowrap;font-weight:600}
.bar-track{display:block}.bar-stack{display:flex;gap:1px;height:1.5rem;border-radius:5px;overflow:hidden}
.bar-stack span{min-width:2px}
.bar-total{font-variant-numeric:tabular-nums;color:var(--soft);text-align:right}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{padding:.42rem .55rem;text-align:right;border-bottom:1px solid var(--rule);
font-variant-numeric:tabular-nums;
vertical-align:top;white-space:nowrap}
th:first-child,td:first-child{text-align:left;padding-left:0;font-variant-numeric:normal}
thead th{white-space:normal;color:var(--soft);font-weight:600;font-size:.82rem;vertical-align:bottom}
tr.total td,tr.total th{font-weight:600}
tbody tr:last-child>*{border-bottom:0}
tbody th{font-weight:500;white-space:normal;min-width:6rem}
.zero{color:var(--soft);opacity:.55}
table.plain td{text-align:left;white-space:normal;overflow-wrap:anywhere}table.plain th{white-space:nowrap}
code{font:.86em ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;
overflow-wrap:anywhere}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:0 1.4rem;padding:.85rem 0;
border-bottom:1px solid var(--rule)}
.pair:last-child{border-bottom:0}
.pair p{margin:.2rem 0 0;overflow-wrap:anywhere;overflow:hidden;max-width:none}
.pair .from{color:var(--soft)}
.who{font-size:.78rem;color:var(--soft);display:flex;flex-wrap:wrap;gap:.5rem;align-items:center}
.chip{background:var(--chip);color:var(--ink);border-radius:99px;padding:.05rem .6rem;font-weight:600;
max-width:14rem;
overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.meter{display:inline-block;width:4.5rem;height:.45rem;border-radius:9px;background:var(--grid);
overflow:hidden}
.meter i{display:block;height:100%;background:var(--real)}
details{margin:.5rem 0}summary{cursor:pointer;font-weight:600}
ul.meaning{list-style:none;padding:0;margin:.9rem 0 0}ul.texts{padding-left:1.1rem;margin:.3rem 0 1rem}
ul.texts li{overflow-wrap:anywhere;overflow:hidden;margin:.2rem 0}
footer{margin-top:3rem;color:var(--soft);font-size:.85rem;border-top:1px solid var(--rule);padding-top:1rem}
@media (max-width:40rem){main{padding:1.5rem 1rem 3rem}.pair{grid-template-columns:1fr;gap:.6rem}
th,td{padding:.4rem .45rem}.bar-row{grid-template-columns:5rem 1fr 3.2rem}table.plain th{white-space:normal}
.tile b{font-size:1.4rem}
.tiles{grid-template-columns:1fr 1fr}}
@media print{:root{--paper:#fff;--card:#fff;--ink:#000;--soft:#444;--rule:#ccc;--grid:#e5e5e5;--real:#0072b2;
--synthetic:#d55e00;--valid:#1b8a6b;--kept:#2b6c8f;--chip:#eee}
body{font-size:10.5pt}main{max-width:none;padding:0}*{print-color-adjust:exact;
-webkit-print-color-adjust:exact}
figure,.tile,.pair,.bar-row,tr{break-inside:avoid}h2,h3,h2+p{break-after:avoid}.scroll{overflow:visible}
.tile,.card,figure{border-color:#bbb}}
"""
