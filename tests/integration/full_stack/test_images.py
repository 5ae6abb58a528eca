"""Pages over HTTP, in real processes: odd pictures are read, bad ones and bad addresses are a 4xx, the worker lives."""

import base64
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.checkpoints.colqwen import DIMENSIONS, make, png
from tests.support.images import encode
from tests.support.parity import least_cosine
from tests.support.stack import Stack

SIZE = (112, 84)
GREY = Image.linear_gradient("L").resize(SIZE)
COLOUR = Image.merge("RGB", (GREY, GREY.transpose(Image.Transpose.FLIP_LEFT_RIGHT), GREY))


class Site(BaseHTTPRequestHandler):
    """/page: a picture. /elsewhere: sends on to another port, which is not allowed. /huge: says it has 10 GB."""

    elsewhere = 0

    def do_GET(self) -> None:
        if self.path == "/elsewhere":
            self.send_response(302)
            self.send_header("Location", f"http://127.0.0.1:{self.elsewhere}/page")
            self.end_headers()
        elif self.path == "/huge":
            self.send_response(200)
            self.send_header("Content-Length", str(10 * 1024**3))
            self.end_headers()
            self.wfile.write(b"x" * 1024)
        else:
            body = png(0)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[int]:
    """Its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        Site.elsewhere = other.getsockname()[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def stack(site: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    model = make(tmp_path_factory.mktemp("model") / "pages")
    with Stack(folder, str(model), fetch_allow=json.dumps([f"127.0.0.1:{site}"])) as stack:
        yield stack


def embed(stack: Stack, *given: object, **fields: object) -> httpx.Response:
    return stack.http.post(f"{stack.url}/v1/embeddings", json={"model": "pages", "input": given, **fields})


def shown(picture: bytes) -> dict[str, str]:
    return {"image": base64.b64encode(picture).decode()}


def vectors(stack: Stack, *given: object) -> list[np.ndarray]:
    reply = embed(stack, *given)
    assert reply.status_code == 200, reply.text
    return [np.asarray(each["embedding"]) for each in reply.json()["data"]]


def exif_turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    return encode(COLOUR.transpose(Image.Transpose.ROTATE_90), "PNG", exif=exif)


def see_through() -> bytes:
    """The picture as it is, but with all that is white taken away."""
    pixels = np.asarray(COLOUR.convert("RGBA")).copy()
    pixels[:20] = (0, 0, 0, 0)
    return encode(Image.fromarray(pixels), "PNG")


def white_on_top() -> bytes:
    pixels = np.asarray(COLOUR).copy()
    pixels[:20] = 255
    return encode(Image.fromarray(pixels), "PNG")


ODD = {
    "16-bit TIFF": (
        encode(Image.fromarray(np.asarray(GREY).astype(np.uint16) * 257), "TIFF"),
        encode(GREY, "PNG"),
    ),
    "animated WebP": (
        encode(COLOUR, "WEBP", save_all=True, append_images=[Image.new("RGB", SIZE, "red")], lossless=True),
        encode(COLOUR, "PNG"),
    ),
    "CMYK JPEG": (
        encode(COLOUR.convert("CMYK"), "JPEG", quality=100, subsampling=0),
        encode(COLOUR, "PNG"),
    ),
    "EXIF-rotated": (exif_turned(), encode(COLOUR, "PNG")),
    "transparent": (see_through(), white_on_top()),
}


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_picture_is_read_as_what_it_shows(stack: Stack, kind: str):
    odd, plain = ODD[kind]
    found, expected = vectors(stack, shown(odd), shown(plain))
    assert least_cosine(found, expected) >= 0.999


BAD = {
    "truncated JPEG": encode(Image.effect_noise((300, 300), 60), "JPEG")[:5000],
    "120 megapixels in a small PNG": encode(Image.new("1", (12_000, 10_000)), "PNG"),
    "no picture": b"no picture at all",
    "nothing": b"",
}


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("kind", BAD)
def test_a_bad_picture_is_refused_and_named(stack: Stack, kind: str):
    assert len(BAD[kind]) < 20_000
    reply = embed(stack, "a text", shown(BAD[kind]))
    assert reply.status_code == 400
    assert reply.json()["error"]["message"].startswith("input[1].image")


def test_a_page_is_fetched_from_where_it_may_be(stack: Stack, site: int):
    fetched, sent = vectors(stack, f"http://127.0.0.1:{site}/page", shown(png(0)))
    assert np.allclose(fetched, sent, atol=1e-5)
    assert sent.shape[1] == DIMENSIONS


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:1/page",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/page",
        "http://127.0.0.1:{site}/elsewhere",
        "http://127.0.0.1:{site}/huge",
        "http://localhost.invalid/page",
    ],
)
def test_a_bad_address_is_refused_and_never_embedded_as_a_text(stack: Stack, site: int, address: str):
    reply = embed(stack, "a text", address.format(site=site))
    assert reply.status_code == 400
    assert reply.json()["error"]["message"].startswith("input[1]")


def test_maps_show_where_a_query_finds_its_words(stack: Stack):
    body = {"model": "pages", "query": "red fox", **shown(png(0))}
    reply = stack.http.post(f"{stack.url}/v1/similarity-maps", json=body).json()
    [query], [document] = [vectors(stack, each) for each in ("red fox", shown(png(0)))]
    assert len(reply["maps"]) == len(query)
    grid = embed(stack, shown(png(0)), patch_grids=True).json()["data"][0]["patch_grids"][0]
    patches = document[grid["first"] : grid["first"] + grid["rows"] * grid["columns"]]
    assert np.allclose(np.asarray(reply["maps"]).reshape(len(query), -1), query @ patches.T, atol=1e-5)


def test_pages_are_ranked(stack: Stack):
    body = {"model": "pages", "query": "red fox", "documents": [shown(png(0)), "the red fox"]}
    reply = stack.http.post(f"{stack.url}/v1/rerank", json=body).json()
    assert sorted(each["index"] for each in reply["results"]) == [0, 1]
    assert reply["results"][0]["relevance_score"] >= reply["results"][1]["relevance_score"]


def test_the_worker_has_outlived_it_all(stack: Stack):
    assert "ended" not in stack.worker.said
    assert len(vectors(stack, "still here")[0]) > 0
