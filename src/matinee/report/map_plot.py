"""The map of items as a picture or an interactive page."""

import json
from html import escape
from pathlib import Path
from string import Template

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from matinee.destinations import MARK
from matinee.report.files import PAGES, require_figure, save_figure
from matinee.report.item_map import OTHER, ItemMap
from matinee.report.picture import Picture
from matinee.writing import new_file


def draw_map(items: ItemMap, path: Path) -> None:
    """Write a map as .png, .svg or .pdf, or as an interactive .html."""
    require_figure(path, "--out", page=True)
    if path.suffix.lower() in PAGES:
        with new_file(path, "page") as part:
            part.write_text(_page(items), encoding="utf-8")
    else:
        save_figure(plot_map(items), path, dpi=150)


def plot_map(items: ItemMap, n_titles: int = 60) -> Figure:
    """Items as dots, coloured by genre, with the titles of the most popular ones."""
    figure = Picture(figsize=(13, 9), facecolor="white", layout="constrained")
    panel = figure.subplots()
    colours = items.colours
    sizes = 6 + 60 * np.array(items.events) / max(items.events)
    across, up = items.positions.T
    panel.scatter(across, up, s=sizes, c=[colours.get(genre, OTHER) for genre in items.genres], alpha=0.75, lw=0)
    for genre, colour in colours.items():
        panel.scatter([], [], c=colour, label=genre, s=30)
    panel.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False, fontsize=8)
    panel.set_axis_off()
    panel.set_title(items.title, loc="left", fontsize=11)
    _name_items(figure, panel, items, n_titles)
    return figure


def _name_items(figure: Figure, panel: Axes, items: ItemMap, n_titles: int) -> None:
    """Label the most popular items; skip a label that would overlap one already placed."""
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    figure.draw_without_rendering()  # positions on the page are known only after a draw
    labelled: list[Bbox] = []
    for position, title in zip(items.positions, items.titles, strict=True):
        if len(labelled) == n_titles:
            break
        label = panel.annotate(title, (position[0], position[1]), fontsize=7, xytext=(4, 3), textcoords="offset points")
        extent = label.get_window_extent(renderer).padded(3)
        if any(extent.overlaps(other) for other in labelled):
            label.remove()
        else:
            labelled.append(extent)


def _page(items: ItemMap) -> str:
    """A self-contained page with data, style and script."""
    colours = items.colours
    rows = [
        [round(float(x), 4), round(float(y), 4), title, genre, events, colours.get(genre, OTHER)]
        for (x, y), title, genre, events in zip(items.positions, items.titles, items.genres, items.events, strict=True)
    ]
    data = json.dumps(rows, ensure_ascii=False).replace("<", "\\u003c")
    legend = "".join(
        f'<li><i style="background:{colour}"></i>{escape(genre)}</li>' for genre, colour in colours.items()
    )
    return PAGE.substitute(
        mark=MARK.decode(), data=data, legend=legend, title=escape(items.title), plural=escape(items.plural)
    )


PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="generator" content="$mark"><title>$title</title>
<style>
body{margin:0;font:14px/1.4 system-ui,sans-serif;color:#1d2730;background:#fff;overflow:hidden}
canvas{display:block;width:100vw;height:100vh;cursor:grab}
aside{position:fixed;top:12px;left:12px;background:#fffd;padding:10px 14px;border-radius:8px;box-shadow:0 1px 6px #0002}
ul{list-style:none;margin:8px 0 0;padding:0}i{display:inline-block;width:10px;height:10px;border-radius:5px;
margin-right:8px}input{font:inherit;width:15em;padding:4px 6px}#tip{position:fixed;pointer-events:none;
background:#1d2730;color:#fff;padding:4px 8px;border-radius:4px;display:none}
</style></head><body><canvas aria-label="Map of $plural"></canvas>
<aside><label>Find <input id="find" type="search" placeholder="a title"></label><ul>$legend</ul></aside>
<div id="tip"></div>
<script>
const items=$data,canvas=document.querySelector("canvas"),pen=canvas.getContext("2d"),
tip=document.getElementById("tip"),
find=document.getElementById("find"),most=Math.max(...items.map(m=>m[4]));let zoom=1,dx=0,dy=0,from=null;
const at=m=>{const s=Math.min(innerWidth,innerHeight)*.47*zoom;
return[innerWidth/2+dx+m[0]*s*1.4,innerHeight/2+dy-m[1]*s]};
function draw(){const d=devicePixelRatio||1;canvas.width=innerWidth*d;canvas.height=innerHeight*d;pen.scale(d,d);
const wanted=find.value.trim().toLowerCase();let named=0;
items.forEach((m,n)=>{const[x,y]=at(m),hit=wanted&&m[2].toLowerCase().includes(wanted);
pen.globalAlpha=wanted&&!hit?.15:.8;pen.fillStyle=m[5];pen.beginPath();
pen.arc(x,y,2.5+6*Math.sqrt(m[4]/most)*Math.sqrt(zoom),0,7);pen.fill();
if(hit||(!wanted&&n<30*zoom*zoom&&x>0&&y>0&&x<innerWidth&&y<innerHeight&&named++<150)){
pen.globalAlpha=1;pen.fillStyle="#1d2730";pen.font="12px system-ui,sans-serif";pen.fillText(m[2],x+8,y+4)}})}
canvas.onwheel=e=>{e.preventDefault();const f=Math.exp(-e.deltaY/500),
x=e.clientX-innerWidth/2,y=e.clientY-innerHeight/2;
dx=x-(x-dx)*f;dy=y-(y-dy)*f;zoom*=f;draw()};
canvas.onpointerdown=e=>{from=[e.clientX-dx,e.clientY-dy];canvas.setPointerCapture(e.pointerId)};
canvas.onpointerup=()=>{from=null};
canvas.onpointermove=e=>{if(from){dx=e.clientX-from[0];dy=e.clientY-from[1];draw();return}
let best=null,near=144;for(const m of items){
const[x,y]=at(m),d=(x-e.clientX)**2+(y-e.clientY)**2;if(d<near){near=d;best=m}}
tip.style.display=best?"block":"none";if(best){tip.textContent=best[2]+" · "+best[3]+" · "+best[4]+" events";
tip.style.left=e.clientX+12+"px";tip.style.top=e.clientY+12+"px"}};
find.oninput=draw;onresize=draw;draw();
</script></body></html>
""")
