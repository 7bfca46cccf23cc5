"""A page in a real browser: what its document is once its scripts have run, and what axe-core finds
wrong with it."""

import html
import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path

# the least wide and the widest screen that pages are looked at on
WIDTHS = {"phone": "390,844", "desktop": "1280,900"}
_AXE = """<script>%s</script><script>
addEventListener("load", () => {
  document.querySelectorAll("details").forEach((part) => (part.open = true));
  axe.run(document, { resultTypes: ["violations"] }).then((found) => {
    const list = document.createElement("pre");
    list.id = "violations";
    list.textContent = JSON.stringify(
      found.violations.map((one) => [one.id, one.help, one.nodes[0].html.slice(0, 200)]));
    document.body.append(list);
  });
});
</script></body>"""


def dump_dom(page: Path, folder: Path, *, size: str = WIDTHS["desktop"], seconds: int = 3) -> str:
    """The document of a page after so many seconds of its own time."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    assert browser, "this test drives a browser; apt-get install chromium"
    flags = ["--headless", "--no-sandbox", f"--window-size={size}", "--dump-dom"]
    done = subprocess.run(
        [
            browser,
            *flags,
            f"--virtual-time-budget={1000 * seconds}",
            f"--user-data-dir={folder / 'profile'}",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return done.stdout


def find_violations(page: Path, folder: Path, size: str) -> list[list[str]]:
    """[rule, what it asks for, the first element that breaks it] of axe-core, all parts of the page
    open."""
    spec = importlib.util.find_spec("axe_playwright_python")
    assert spec and spec.origin, "pip install --no-deps axe-playwright-python==0.1.8"
    axe = (Path(spec.origin).parent / "axe.min.js").read_text(encoding="utf-8")
    before, _, after = page.read_text(encoding="utf-8").rpartition("</body>")
    tried = folder / f"tried-{page.stem}.html"
    tried.write_text(before + _AXE % axe + after, encoding="utf-8")
    found = re.search(
        r'<pre id="violations">(.*?)</pre>',
        dump_dom(tried, folder, size=size, seconds=20),
        re.DOTALL,
    )
    assert found, f"axe-core did not come to an end on {page}"
    return json.loads(html.unescape(found[1]))
