"""The pages in a browser: with the keyboard, without scripts, on narrow screens, in light and dark."""

import json

import pytest

from jobs.ingests.run import RunProgress, StageProgress
from tests.integration.ui.conftest import Shown
from tests.support.waiting import wait_until

PLACES = (
    "/ui/search",
    "/ui/search?q=costs&from=1&in=documents",
    "/ui/search?q=zebra",
    "/ui/ingest",
    "/ui/nowhere",
)


def text(shown: Shown, selector: str) -> str:
    return shown.browser.evaluate(f"document.querySelector({json.dumps(selector)})?.textContent.trim() ?? ''")


def address(shown: Shown) -> str:
    return shown.browser.evaluate("location.pathname + location.search")


def page_of(shown: Shown, document: int = 0) -> str:
    return f"/ui/page/documents/{shown.collections.documents[document].id}"


def test_a_search_replaces_what_was_found_and_every_state_has_its_address(shown: Shown):
    browser = shown.open("/ui/search")

    browser.type("costs of energy")
    browser.press("Enter")
    browser.until("document.querySelector('.summary')")
    first = address(shown)
    browser.evaluate("document.querySelector('input[value=keywords]').click()")
    browser.evaluate("document.getElementById('q').value = 'rent'")
    browser.click("button.primary")
    browser.until("document.querySelectorAll('.document').length === 1")
    second = address(shown)
    browser.evaluate("history.back()")
    browser.until("document.querySelectorAll('.document').length === 3")

    assert first == "/ui/search?q=costs+of+energy"
    assert second == "/ui/search?q=rent&mode=keywords"
    assert address(shown) == first
    assert browser.evaluate("document.title") == "costs of energy · mlxq"


def test_an_error_of_the_search_is_shown_in_its_place(shown: Shown):
    browser = shown.open("/ui/search")
    browser.evaluate("document.querySelector('.filters').open = true")
    browser.evaluate("document.querySelector('[name=from]').value = 'x'")
    browser.evaluate("document.getElementById('q').value = 'rent'")

    browser.click("button.primary")
    browser.until("document.querySelector('#found [role=alert]')")

    assert "from is a whole number" in text(shown, "#found [role=alert]")
    browser.complaints.clear()  # the browser notes the 400


def test_an_image_that_is_dropped_is_searched_with(shown: Shown):
    browser = shown.open("/ui/search?mode=visual")
    browser.type("costs")

    browser.evaluate(
        """(async () => {
          const canvas = Object.assign(document.createElement("canvas"), { width: 8, height: 8 });
          const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
          const data = new DataTransfer();
          data.items.add(new File([blob], "a.png", { type: "image/png" }));
          for (const kind of ["dragover", "drop"])
            document.body.dispatchEvent(new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true }));
        })()"""
    )
    browser.until(
        "document.querySelector('.query-image img')?.complete && document.querySelector('.summary')"
    )

    assert address(shown).startswith("/ui/search?q=costs&image=")
    assert address(shown).endswith("&mode=visual")
    [asked] = shown.collections.asked
    assert (asked.image or b"").startswith(b"\x89PNG")


def test_the_viewer_follows_the_keys_and_a_reload_shows_the_same(shown: Shown):
    browser = shown.open(f"{page_of(shown)}/2?q=sales+region")

    browser.press("w")
    browser.press("w")
    browser.press("+")
    chosen = address(shown)
    browser.open(shown.url + chosen)
    browser.press("ArrowRight")
    browser.until("location.pathname.endsWith('/3')")
    browser.settle()

    assert chosen == f"{page_of(shown)}/2?q=sales+region&heat=0&zoom=150"
    assert address(shown) == f"{page_of(shown)}/3?q=sales+region&heat=0&zoom=150"
    assert text(shown, ".words [aria-current]") == "sales"
    assert browser.evaluate("document.getElementById('sheet').className") == "sheet zoom-150"
    browser.press("/")
    browser.until("location.pathname === '/ui/search'")
    assert address(shown) == "/ui/search?q=sales+region"


def test_keys_that_are_typed_into_a_field_turn_no_page(shown: Shown):
    browser = shown.open(f"{page_of(shown)}/2?q=sales")

    browser.evaluate("document.querySelector('.jump input[name=page]').select()")
    for key in ("ArrowRight", "w", "3"):
        browser.press(key)
    browser.evaluate("document.querySelector('.jump input[name=page]').value = '3'")
    browser.press("Enter")
    browser.until("location.pathname.endsWith('/3')")

    assert address(shown) == f"{page_of(shown)}/3?q=sales"


def test_the_viewer_loads_what_else_was_found_in_the_document(shown: Shown):
    browser = shown.open(f"{page_of(shown)}/2?q=costs")

    browser.until("document.querySelectorAll('.strip a').length === 2")
    browser.click(".strip a")
    browser.until("location.pathname.endsWith('/1')")

    assert address(shown) == f"{page_of(shown)}/1?q=costs&heat=all"


def test_everything_works_without_scripts(shown: Shown):
    shown.browser.show_as(1280, 900, scripts=False)
    browser = shown.open("/ui/search")

    upload = browser.box("#upload button")
    browser.click("#q")
    browser.type("costs")
    browser.press("Enter")
    wait_until(lambda: text(shown, ".summary"))
    browser.click(".hit")
    wait_until(lambda: text(shown, ".words"))
    browser.click(".words li:nth-child(2) a")
    wait_until(lambda: text(shown, ".words [aria-current]") == "costs")
    browser.settle()
    browser.click("#larger")
    wait_until(lambda: address(shown).endswith("zoom=150"))

    assert upload["width"] > 0


def test_a_running_ingest_is_followed_until_its_end(shown: Shown):
    def progress(done: int) -> RunProgress:
        return RunProgress(stages=(StageProgress("embed", done, 10, per_s=1.5),))

    shown.ingests.known[:] = [shown.ingests.run("documents", "mlxq ingest /docs", progress(1))]
    browser = shown.open("/ui/ingest")
    assert text(shown, ".stage-amount") == "1 of 10 pages"

    shown.ingests.known[:] = [shown.ingests.run("documents", "mlxq ingest /docs", progress(7))]
    browser.until("document.querySelector('.stage-amount')?.textContent === '7 of 10 pages'")
    shown.ingests.known.clear()
    browser.until("document.querySelector('#runs .empty')")

    assert not browser.evaluate("document.getElementById('runs').hasAttribute('hx-trigger')")


def test_a_folder_is_added_by_the_form(shown: Shown):
    browser = shown.open("/ui/ingest")
    browser.evaluate("document.querySelector('[name=collection]').value = 'talks'")

    browser.click(".add button")
    browser.until("document.querySelector('.run h2')")

    assert text(shown, ".run h2").split() == ["talks", "running"]
    assert shown.ingests.begun[-1].folder == "/home/ada/Documents"


def test_the_first_stop_of_the_keyboard_leads_past_the_navigation(shown: Shown):
    browser = shown.open("/ui/ingest")

    browser.press("Tab")
    first = browser.evaluate("document.activeElement.textContent")
    visible = browser.evaluate("document.activeElement.getBoundingClientRect().left >= 0")
    browser.press("Enter")
    browser.until("document.activeElement.id === 'main'")
    browser.press("Tab")

    assert (first, visible) == ("Skip to the content", True)
    assert browser.evaluate("document.activeElement.closest('main') !== null")


def test_whoever_has_the_focus_shows_it(shown: Shown):
    browser = shown.open("/ui/search?q=costs")
    unseen = list[str]()

    for _ in range(25):
        browser.press("Tab")
        shows = browser.evaluate(
            "(() => { const seen = (each) => each && getComputedStyle(each).outlineStyle !== 'none';"
            " const it = document.activeElement;"
            " return it === document.body || seen(it) || seen(it.nextElementSibling) })()"
        )
        if not shows:
            unseen.append(browser.evaluate("document.activeElement.outerHTML"))

    assert unseen == []


@pytest.mark.parametrize("path", PLACES)
def test_nothing_is_wider_than_a_phone(shown: Shown, path: str):
    shown.ingests.known[:] = [
        shown.ingests.run(
            "documents", "mlxq ingest /a/very/long/path/" + "x" * 200, RunProgress(message="y" * 200)
        )
    ]
    shown.browser.show_as(390, 800)

    browser = shown.open(path)

    assert browser.evaluate("document.documentElement.scrollWidth") <= 390
    browser.complaints.clear()  # the browser notes a 404


_CONTRASTS = """(() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return canvas.getImageData(0, 0, 1, 1).data;
  };
  const light = ([r, g, b]) => [r, g, b].map((each) => each / 255)
    .map((each) => (each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4))
    .reduce((sum, each, place) => sum + each * [0.2126, 0.7152, 0.0722][place], 0);
  const behind = (it) => {
    for (; it; it = it.parentElement) {
      const color = rgb(getComputedStyle(it).backgroundColor);
      if (color[3] === 255) return color;
    }
    return [255, 255, 255];
  };
  const bad = [];
  for (const it of document.querySelectorAll("body *")) {
    const own = [...it.childNodes].some((each) => each.nodeType === 3 && each.textContent.trim());
    if (!own || it.closest(".quiet, .disabled, option, datalist, [hidden]") || !it.checkVisibility()) continue;
    const [a, b] = [light(rgb(getComputedStyle(it).color)), light(behind(it))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) bad.push(`${ratio.toFixed(2)} ${it.outerHTML.slice(0, 80)}`);
  }
  return bad;
})()"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_all_text_can_be_read_in_light_and_dark(shown: Shown, *, dark: bool):
    """The least contrast is WCAG's for AA, 4.5."""
    shown.browser.show_as(1280, 900, dark=dark)
    shown.ingests.known[:] = [
        shown.ingests.run("documents", "mlxq ingest /docs", RunProgress(message="Waits for the store."))
    ]
    browser, faint = shown.browser, list[str]()

    for path in (*PLACES, f"{page_of(shown)}/3?q=costs&heat=all"):
        shown.open(path)
        faint += browser.evaluate(_CONTRASTS)
        browser.complaints.clear()  # the browser notes a 404

    assert faint == []
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == (
        "rgb(18, 21, 27)" if dark else "rgb(246, 247, 249)"
    )
