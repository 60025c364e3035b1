"""Where photos may be read from: exactly below the allowed prefixes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from services.intake.uris import UriReader
from services.kit.deadline import Deadline
from services.kit.errors import DeadlineExceeded, InvalidArgument, NotFound, PermissionDenied, Unavailable

NEVER = Deadline.never()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a photo, beside a secret."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a b.jpg").write_bytes(b"photo")
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    return tmp_path / "photos"


def reader(*prefixes: str, max_bytes: int = 100) -> UriReader:
    return UriReader(prefixes, max_bytes)


def test_a_file_below_the_prefix_is_read(folder: Path) -> None:
    for prefix in (folder.as_uri(), folder.as_uri() + "/"):
        assert reader(prefix).read((folder / "a b.jpg").as_uri(), "photo.uri", NEVER) == b"photo"


@pytest.mark.parametrize(
    "path",
    [
        "../secret.jpg",
        "%2e%2e/secret.jpg",
        "x/../../secret.jpg",
        "./../secret.jpg",
        "..\\secret.jpg",
        "a%00.jpg",
        "a b.jpg?x=1",
        "a b.jpg#x",
    ],
)
def test_ways_around_the_prefix_are_refused(folder: Path, path: str) -> None:
    with pytest.raises(PermissionDenied) as caught:
        reader(folder.as_uri()).read(f"{folder.as_uri()}/{path}", "photos[3].uri", NEVER)
    assert caught.value.reason == "URI_NOT_ALLOWED"
    assert caught.value.fields[0].field == "photos[3].uri"


def test_a_link_that_leads_out_of_the_prefix_is_refused(folder: Path) -> None:
    (folder / "link.jpg").symlink_to(folder.parent / "secret.jpg")
    with pytest.raises(PermissionDenied):
        reader(folder.as_uri()).read((folder / "link.jpg").as_uri(), "photo.uri", NEVER)


def test_a_sibling_that_begins_like_the_prefix_is_refused(folder: Path) -> None:
    sibling = folder.parent / "photos-of-others"
    sibling.mkdir()
    (sibling / "a.jpg").write_bytes(b"photo")
    with pytest.raises(PermissionDenied):
        reader(folder.as_uri()).read((sibling / "a.jpg").as_uri(), "photo.uri", NEVER)


@pytest.mark.parametrize(
    "uri",
    [
        "https://img.example.evil.org/a.jpg",
        "https://img.example@evil.org/a.jpg",
        "https://user@img.example/a.jpg",
        "http://img.example/a.jpg",
        "https://img.example:8443/a.jpg",
        "https://img.example/写真.jpg",
        "//img.example/a.jpg",
        "/etc/passwd",
        "data:image/png;base64,AAAA",
        "https://[broken/a.jpg",
        "",
    ],
)
def test_other_hosts_and_schemes_are_refused(uri: str) -> None:
    with pytest.raises(PermissionDenied):
        reader("https://img.example/").read(uri, "photo.uri", NEVER)


def test_nothing_is_allowed_by_default(folder: Path) -> None:
    with pytest.raises(PermissionDenied):
        reader().read((folder / "a b.jpg").as_uri(), "photo.uri", NEVER)


def test_a_file_that_is_not_there_is_not_found(folder: Path) -> None:
    with pytest.raises(NotFound) as caught:
        reader(folder.as_uri()).read(f"{folder.as_uri()}/none.jpg", "photo.uri", NEVER)
    assert caught.value.reason == "URI_NOT_FOUND"
    with pytest.raises(Unavailable) as unreadable:
        (folder / "dir.jpg").mkdir()
        reader(folder.as_uri()).read(f"{folder.as_uri()}/dir.jpg", "photo.uri", NEVER)
    assert unreadable.value.reason == "URI_UNREADABLE"


def test_a_file_with_too_many_bytes_is_refused(folder: Path) -> None:
    with pytest.raises(InvalidArgument) as caught:
        reader(folder.as_uri(), max_bytes=4).read((folder / "a b.jpg").as_uri(), "photo.uri", NEVER)
    assert caught.value.reason == "PHOTO_TOO_MANY_BYTES"


def test_an_expired_deadline_reads_nothing(folder: Path) -> None:
    with pytest.raises(DeadlineExceeded):
        reader(folder.as_uri()).read((folder / "a b.jpg").as_uri(), "photo.uri", Deadline.after(0.0))


class Photos(BaseHTTPRequestHandler):
    """Serves /photos/*, redirects /photos/moved to a secret, and knows nothing else."""

    def do_GET(self) -> None:
        if self.path == "/photos/moved.jpg":
            self.send_response(302)
            self.send_header("Location", "/secret.jpg")
            self.end_headers()
        elif self.path in ("/photos/a.jpg?key=1", "/secret.jpg"):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"photo")
        elif self.path == "/photos/broken.jpg":
            self.send_error(500)
        else:
            self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:
        del format, args


@pytest.fixture
def host() -> Iterator[str]:
    """A web server on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Photos) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_web_photo_below_the_prefix_is_read_with_its_query(host: str) -> None:
    assert reader(f"{host}/photos/").read(f"{host}/photos/a.jpg?key=1", "photo.uri", NEVER) == b"photo"


def test_redirects_are_not_followed(host: str) -> None:
    with pytest.raises(Unavailable):
        reader(f"{host}/photos").read(f"{host}/photos/moved.jpg", "photo.uri", NEVER)


def test_web_errors_are_told_apart(host: str) -> None:
    with pytest.raises(NotFound):
        reader(f"{host}/photos").read(f"{host}/photos/none.jpg", "photo.uri", NEVER)
    with pytest.raises(Unavailable):
        reader(f"{host}/photos").read(f"{host}/photos/broken.jpg", "photo.uri", NEVER)
