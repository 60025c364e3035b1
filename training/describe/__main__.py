"""Descriptions of photos, restatements of requests and judgements of pairs, kept in a file as they come.

    python -m training.describe describe PHOTOS ... --by endpoint --out described.jsonl
    python -m training.describe parse    --requests requests.txt --by qwen --model DIR --out restated.jsonl
    python -m training.describe judge    --mined mined.npz --data DRAWN --by endpoint --out judged.jsonl

A run that was stopped, or whose machine died, goes on with the same command.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from training.describe.answers import Restated
from training.describe.describers import CompactDescriber, Describer, ModelDescriber, read_perceived
from training.describe.endpoint import Endpoint, EndpointSettings
from training.describe.judges import DigitJudge, Judge, ModelJudge, StoredJudge
from training.describe.pairs import PairsOf
from training.describe.photos import Photo, photos_in
from training.describe.question import RunError
from training.describe.requests import read_requests
from training.describe.running import Item, Tally, Worker, ask_all
from training.describe.store import Key, Store, request_digest
from training.kit.data.mined_pairs import Mined

T = TypeVar("T")


def main(argv: list[str] | None = None) -> None:
    """Read the command line."""
    parser = _parser()
    args = parser.parse_args(argv)
    try:
        args.run(args)
    except ValidationError as error:
        wrong = error.errors()[0]
        field = ".".join(str(part) for part in wrong["loc"])
        parser.exit(2, f"error: LUNULA_ENDPOINT_{field.upper()}: {wrong['msg']}\n")
    except (RunError, RuntimeError, ValueError) as error:
        parser.exit(1, f"error: {error}\n")
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        parser.exit(1, f"error: {what}\n")
    except KeyboardInterrupt:
        parser.exit(130, "stopped; the same command goes on where this run stopped\n")


def _parser() -> argparse.ArgumentParser:
    summary, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="python -m training.describe",
        description=summary,
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="describe|parse|judge")

    describe = commands.add_parser("describe", help="write a description of the nails of each photo")
    describe.add_argument("photos", nargs="+", type=Path, help="photos, or folders of them")
    _add_writer(describe, ("endpoint", "qwen", "compact"))
    describe.add_argument("--perceived", type=Path, help="with --by compact: what perception found, .jsonl")
    describe.add_argument(
        "--least", type=float, default=0.5, help="with --by compact: probability from which it is said (0.5)"
    )
    describe.set_defaults(run=_describe)

    parse = commands.add_parser("parse", help="write MDD and NNP of each request")
    parse.add_argument(
        "--requests",
        type=Path,
        required=True,
        help="a text file with a request a line, or an index.jsonl whose records have texts",
    )
    _add_writer(parse, ("endpoint", "qwen", "compact"))
    parse.set_defaults(run=_parse, perceived=None, least=0.5)

    judge = commands.add_parser("judge", help="give mined pairs of text and photo a confidence")
    judge.add_argument("--mined", type=Path, required=True, help="pairs, .npz of training.design.mining")
    judge.add_argument("--data", type=Path, nargs="+", required=True, help="folders with index.jsonl")
    judge.add_argument("--split", default="", help="the split of --data that was mined")
    judge.add_argument("--described", type=Path, help="descriptions of the photos, as describe wrote them")
    judge.add_argument("--threshold", type=float, default=0.7, help="least confidence kept (%(default)s)")
    judge.add_argument("--pairs-out", type=Path, help="where the pairs that are kept go, .npz")
    _add_writer(judge, ("endpoint", "qwen"))
    judge.set_defaults(run=_judge)
    return parser


def _add_writer(parser: argparse.ArgumentParser, choices: Sequence[str]) -> None:
    parser.add_argument("--by", choices=choices, required=True, help="who answers")
    parser.add_argument("--out", type=Path, required=True, help="answers, .jsonl; those in it are kept")
    parser.add_argument("--limit", type=int, help="ask about the first so many only")
    parser.add_argument("--again", action="store_true", help="ask again where there was an error before")
    parser.add_argument(
        "--max-tokens", type=int, help="longest answer (400; of a judge 60); thinking takes more"
    )
    endpoint = parser.add_argument_group(
        "--by endpoint",
        "any OpenAI-compatible server; the key is read from LUNULA_ENDPOINT_API_KEY, and every setting from "
        "LUNULA_ENDPOINT_* where it is not given here",
    )
    endpoint.add_argument("--base-url", help='"https://host/v1"')
    endpoint.add_argument("--parallel", type=int, help="calls at the same time (4)")
    endpoint.add_argument("--timeout", type=float, help="of a call, s (120)")
    qwen = parser.add_argument_group("--by qwen", "Qwen2.5-VL or Qwen3-VL on this machine")
    qwen.add_argument("--revision", default="", help="commit of a model of the hub")
    qwen.add_argument("--download", action="store_true", help="fetch it from the hub if it is not here")
    qwen.add_argument("--device", default="", help="cuda, cpu (cuda where there is one)")
    qwen.add_argument("--batch", type=int, default=4, help="photos a pass (%(default)s)")
    parser.add_argument("--model", help="name at the endpoint; or folder or hub name of the local model")


def _describe(args: argparse.Namespace) -> None:
    describer = _describer(args)
    photos = _readable(photos_in(args.photos))[: args.limit]

    def key(photo: Photo) -> Key:
        return Key("describe", photo.sha256, describer.name, describer.describe_version)

    with _store(args) as store:
        _ask(photos, key, lambda photo: photo.label, describer.describe, describer, store)


def _parse(args: argparse.Namespace) -> None:
    describer = _describer(args)
    requests = list(dict.fromkeys(read_requests(args.requests)))[: args.limit]

    def key(request: str) -> Key:
        return Key("parse", request_digest(request), describer.name, describer.restate_version)

    def to_json(restated: Restated) -> dict[str, list[str]]:
        return {"mdd": list(restated.mdd), "nnp": list(restated.nnp)}

    with _store(args) as store:
        _ask(requests, key, lambda request: request, describer.restate, describer, store, to_json)


def _judge(args: argparse.Namespace) -> None:
    mined = Mined.load(args.mined)
    pairs = PairsOf(args.data, args.split, args.described)
    pairs.check(mined)
    judge = _judge_of(args)
    with _store(args) as store:
        stored = StoredJudge(pairs, store, name=judge.name, version=judge.version)
        numbers = list(zip(mined.text.tolist(), mined.photo.tolist(), strict=True))[: args.limit]
        _ask(
            numbers,
            lambda number: stored.key(pairs(*number)),
            lambda number: f"text {number[0]}, photo {number[1]}",
            lambda some: judge.judge([pairs(*number) for number in some]),
            judge,
            store,
        )
        kept = mined.judged(stored, args.threshold)
    print(f"{len(kept.text)} of {len(mined.text)} pairs have a confidence of {args.threshold:g} and more")
    if args.pairs_out is not None:
        kept.save(args.pairs_out)


def _ask(
    subjects: Sequence[T],
    key: Callable[[T], Key],
    label: Callable[[T], str],
    work: Callable[[Sequence[T]], Sequence[Any]],
    worker: Worker,
    store: Store,
    to_json: Callable[[Any], Any] = lambda answer: answer,
) -> None:
    """Ask about all of them with a bar that shows how far it is, and say how it went."""
    items: Iterator[Item[T]] = (Item(key(subject), subject, label(subject)) for subject in subjects)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[failed]} failed"),
    )
    tally = Tally()
    with Progress(*columns, console=Console(file=sys.stderr)) as progress:
        task = progress.add_task("Asking", total=len(subjects), failed=0)
        with closing(ask_all(items, work, worker, store, to_json=to_json)) as tallies:
            for tally in tallies:
                asked = tally.known + tally.answered + tally.failed
                progress.update(task, completed=asked, failed=tally.failed)
    print(f"{store.path}: {tally.answered} answered, {tally.failed} failed, {tally.known} known before")


def _readable(photos: Sequence[Photo]) -> list[Photo]:
    """Those photos whose files can be read; the others are told about."""
    found = []
    for photo in photos:
        try:
            photo.sha256  # noqa: B018  # reads the file, once
        except OSError as error:
            print(f"left out: {photo.label}: {error.strerror}", file=sys.stderr)
        else:
            found.append(photo)
    return found


def _store(args: argparse.Namespace) -> Store:
    store = Store(args.out)
    if args.again:
        store.forget_errors()
    return store


def _describer(args: argparse.Namespace) -> Describer:
    if args.by == "compact":
        perceived = read_perceived(args.perceived) if args.perceived is not None else {}
        if args.perceived is None and args.run is _describe:
            raise ValueError("--by compact needs --perceived: what perception found")
        return CompactDescriber(perceived, least=args.least)
    if args.by == "qwen":
        return ModelDescriber(_qwen(args), **_tokens(args))
    return ModelDescriber(_endpoint(args), **_tokens(args))


def _judge_of(args: argparse.Namespace) -> Judge:
    return DigitJudge(_qwen(args)) if args.by == "qwen" else ModelJudge(_endpoint(args), **_tokens(args))


def _tokens(args: argparse.Namespace) -> dict[str, int]:
    return {} if args.max_tokens is None else {"max_tokens": args.max_tokens}


def _endpoint(args: argparse.Namespace) -> Endpoint:
    given = {
        "base_url": args.base_url,
        "model": args.model,
        "parallel": args.parallel,
        "timeout_s": args.timeout,
    }
    return Endpoint(EndpointSettings(**{name: value for name, value in given.items() if value is not None}))


def _qwen(args: argparse.Namespace) -> Any:
    if not args.model:
        raise ValueError("--by qwen needs --model: a folder, or a name of the hub with --revision")
    try:
        from training.describe.qwen import load_qwen
    except ImportError as error:
        raise RunError(f"--by qwen needs the training environment: {error}") from error
    return load_qwen(
        args.model,
        revision=args.revision,
        download=args.download,
        device=args.device,
        batch=args.batch,
    )


if __name__ == "__main__":
    main()
