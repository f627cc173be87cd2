"""All models on the bundled log, tuned, with three seeds: `matinee compare` whole, and its report as pictures.

python benchmarks/compare_all.py              # runs the command, or goes on with it; then the summary and the pictures
python benchmarks/compare_all.py --pictures   # only the pictures of the report that is there

The summary goes to benchmarks/compare_all.json, the pictures to docs/images/compare-all*.png (they need playwright and
its Chromium). The report itself stays in runs/compare-all, and so do the fits until the run is whole.
"""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

from matinee.report.comparison.files import save_report
from matinee.report.comparison.result import read_result

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "runs" / "compare-all"
REPORT = FOLDER / "report"
COMMAND = ("compare", "--models", "all", "--data", "bundled", "--tuned", "--seeds", "3")
MOST_MINUTES = 25
PICTURES = {
    "compare-all": ((1200, 900), "light", "result"),
    "compare-all-cost": ((1200, 900), "light", "cost"),
    "compare-all-segments": ((1200, 900), "light", "segments"),
    "compare-all-dark": ((1200, 900), "dark", "result"),
    "compare-all-phone": ((390, 844), "light", "result"),
}
"""Name: width and height, colour scheme, and the section that is in view."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pictures", action="store_true", help="only the pictures")
    if not parser.parse_args().pictures:
        FOLDER.mkdir(parents=True, exist_ok=True)
        reports = [part for end in ("html", "json") for part in ("--report", f"{REPORT}.{end}")]
        started = perf_counter()
        command = [sys.executable, "-m", "matinee", *COMMAND, "--run", str(FOLDER / "fits"), *reports]
        done = subprocess.run(command, cwd=ROOT, check=False).returncode
        if done not in (0, 1):  # 1: some fits failed, and the report names them
            sys.exit(done)
        found = json.loads(REPORT.with_suffix(".json").read_text("utf-8"))
        summary = summary_of(found, perf_counter() - started)
        Path(__file__).with_suffix(".json").write_text(json.dumps(summary, indent=1) + "\n", "utf-8")
        print(table_of(summary))
    draw()


def summary_of(found: dict[str, Any], seconds: float) -> dict[str, Any]:
    """The verdicts, times and searches of a result. seconds: of the command, or of its last part if it went on."""
    searches = {each["label"]: each for each in found["searches"]}
    rows = []
    for row, report in zip(found["models"], found["reports"], strict=True):
        search, unseen = searches.get(row["label"]), report.get("unseen")
        rows.append(
            {
                "model": row["label"],
                "ndcg@10": row["score"],
                "verdict": row["verdict"],
                "group": row["group"],
                "fits": max(1, len(report["seeds"])),
                "fit_seconds": report["fit_seconds"],
                "evaluate_seconds": report["cost"].get("evaluate_seconds"),
                "search": search
                and {name: search[name] for name in ("defaults", "valid", "trials", "seconds", "found")},
                "unseen": unseen and unseen["metrics"]["ndcg@10"]["difference"],
            }
        )
    times = found["times"]
    training = times["fit_seconds"] + times["search_seconds"]
    return {
        "command": "matinee " + " ".join(COMMAND),
        "seconds": seconds,
        **times,
        "evaluation_of_training": times["evaluate_seconds"] / times["fit_seconds"],
        "evaluation_of_training_and_search": times["evaluate_seconds"] / training,
        "failed": found["failed"],
        "made": found["again"]["made"],
        "machine": found["again"]["facts"],
        "models": rows,
    }


def table_of(summary: dict[str, Any]) -> str:
    """The summary as lines of text."""
    lines = [f"{'model':<14}{'NDCG@10':>9}  {'verdict':<8}{'fit s':>8}{'eval s':>8}{'search s':>10}{'trials':>8}"]
    for row in summary["models"]:
        search = row["search"] or {"seconds": 0.0, "trials": 0}
        lines.append(
            f"{row['model']:<14}{row['ndcg@10']['mean']:>9.4f}  {row['verdict']:<8}{row['fit_seconds']:>8.2f}"
            f"{row['evaluate_seconds'] or 0:>8.2f}{search['seconds']:>10.1f}{search['trials']:>8}"
        )
    minutes, of = summary["seconds"] / 60, summary["evaluation_of_training"]
    lines.append(
        f"{minutes:.1f} minutes (at most {MOST_MINUTES} on two cores); evaluation {of:.1%} "
        f"of training, {summary['evaluation_of_training_and_search']:.1%} with the searches"
    )
    return "\n".join(lines)


def draw() -> None:
    """The report made again from its JSON, and in a browser, as pictures for the docs."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    page_file = REPORT.with_suffix(".html")
    save_report(read_result(REPORT.with_suffix(".json")), page_file)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        for name, ((width, height), scheme, section) in PICTURES.items():
            page = browser.new_page(
                viewport={"width": width, "height": height},
                color_scheme="dark" if scheme == "dark" else "light",
                reduced_motion="reduce",
            )
            page.goto(page_file.as_uri())
            if section != "result":
                page.evaluate("id => document.getElementById(id).scrollIntoView()", section)
            picture = ROOT / "docs" / "images" / f"{name}.png"
            page.screenshot(path=picture)
            page.close()
            print(picture.relative_to(ROOT))
        browser.close()


if __name__ == "__main__":
    main()
