"""Small language models that run where people are: libphial from Python.

The names are those of phial.h, whose comments say what each option means; docs/library.md has examples. Objects are
closed by `with`, by close(), or when nobody has them any more. Every call that computes can be stopped by Ctrl-C
and by a Cancel, and leaves its objects usable. An object serves one call at a time; a Model and an Embedder any number.
"""

from __future__ import annotations

import json
import os
import queue
import threading
import weakref
from typing import Any, Callable, Iterator, Optional, Sequence

from . import _phial
from ._error import Error

__all__ = ["ABI_VERSION", "Cancel", "Embedder", "Error", "Image", "Library", "Model", "Session", "Stream",
           "__version__", "instruction_set"]

__version__: str = _phial.version()
ABI_VERSION: int = _phial.abi_version()

_KV = {"f16": 0, "q8": 1, "q4": 2}
_SPECIAL, _BOS = 1, 2


def instruction_set() -> str:
    """What was chosen for this machine, such as "avx512_vnni"."""
    return _phial.instruction_set()


class Cancel:
    """Stops the calls that it was given to, from any thread; once requested it stays so."""

    def __init__(self) -> None:
        self._handle = _phial.Cancel()

    def request(self) -> None:
        self._handle.request()

    def requested(self) -> bool:
        return self._handle.requested()


class _Closing:
    """Closed by `with`. Serves one call at a time: another waits."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self._one_at_a_time = threading.Lock()
        self._streams: "weakref.WeakSet[Stream]" = weakref.WeakSet()

    def close(self) -> None:
        """Stops what is still being computed, and waits for it."""
        for stream in list(self._streams):
            stream.close()
        with self._one_at_a_time:
            self._handle.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception) -> None:
        self.close()


class Stream:
    """The text of an answer, piece by piece as it is final. What is left is not computed once the stream is closed, by
    close() or by leaving a `with`, or nobody has it any more. `result()` reads to the end and gives the whole."""

    def __init__(self, user: _Closing, work: Callable[[Callable[[str], bool]], Any], cancel: Cancel):
        self._pieces: queue.SimpleQueue = queue.SimpleQueue()
        self._cancel = cancel
        self._outcome: list = []
        self._ended = False
        # On a thread of its own, so that Ctrl-C, which Python tells its main thread alone, is heard while it computes.
        # It has no hold on this object.
        self._thread = threading.Thread(target=_work, daemon=True,
                                        args=(user._one_at_a_time, work, self._pieces, cancel, self._outcome))
        self._thread.start()
        user._streams.add(self)
        # When nobody has it any more, and before the interpreter ends.
        weakref.finalize(self, _stop, cancel, self._thread)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if not self._ended:
            try:
                piece = self._pieces.get()
            except BaseException:  # Ctrl-C
                self.close()
                raise
            if piece is not None:
                return piece
            self._ended = True
            self._thread.join()
            self._raise()
        raise StopIteration

    def result(self) -> Any:
        for _ in self:
            pass
        self._raise()
        return self._outcome[0]

    def close(self) -> None:
        self._ended = True
        _stop(self._cancel, self._thread)

    def _raise(self) -> None:
        if not self._outcome:
            raise Error("the stream was closed", "cancelled")
        if isinstance(self._outcome[0], BaseException):
            raise self._outcome[0]

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *exception) -> None:
        self.close()


def _stop(cancel, thread) -> None:
    cancel.request()
    if thread is not threading.current_thread():
        thread.join()


def _work(one_at_a_time, work, pieces, cancel, outcome) -> None:
    def take(text: str) -> bool:
        pieces.put(text)
        return cancel.requested()

    try:
        with one_at_a_time:
            outcome.append(work(take))
    except BaseException as error:  # handed to whoever reads
        outcome.append(error)
    pieces.put(None)


class Image(_Closing):
    """A picture, as PNG, JPEG, WebP or GIF: a file's path, or the bytes of one."""

    def __init__(self, picture: "str | os.PathLike | bytes"):
        if isinstance(picture, bytes):
            super().__init__(_phial.image_from_bytes(picture))
        else:
            super().__init__(_phial.image_open(os.fspath(picture)))


class Model(_Closing):
    """A model that writes. `path`: a GGUF file or a Hugging Face folder."""

    def __init__(self, path: "str | os.PathLike", *, threads: int = 0, context_tokens: int = 0, sessions: int = 0,
                 kv: str = "f16", exact: bool = False, copy: bool = False, no_drafting: bool = False,
                 draft_model: "str | os.PathLike | None" = None, date: Optional[str] = None,
                 prompt_cache: "str | os.PathLike | None" = None, projector: "str | os.PathLike | None" = None):
        if kv not in _KV:
            raise ValueError(f"kv is {kv!r}: give one of {', '.join(_KV)}")
        super().__init__(_phial.model_open(os.fspath(path), threads, context_tokens, sessions, _KV[kv], exact, copy,
                                           no_drafting, None if draft_model is None else os.fspath(draft_model), date,
                                           None if prompt_cache is None else os.fspath(prompt_cache),
                                           None if projector is None else os.fspath(projector)))

    def info(self) -> dict:
        return self._handle.info()

    def tokenize(self, text: str, *, special: bool = False, bos: bool = False) -> list[int]:
        return self._handle.tokenize(_text(text), _SPECIAL * special + _BOS * bos)

    def detokenize(self, ids: Sequence[int]) -> str:
        return self._handle.detokenize(list(ids))

    def session(self) -> "Session":
        return Session(self)

    def write_prompt_cache(self) -> None:
        """Writes what it still holds of prompts into the file prompt_cache, for a later run whose prompts begin alike."""
        self._handle.write_prompt_cache()


class Session(_Closing):
    """Answers of a model, one at a time. Options are those of phial_generate_options: max_tokens, temperature, top_k,
    top_p, min_p, repeat_penalty, seed, stop (a list), images (a list of Image), ignore_end, cancel."""

    def __init__(self, model: Model):
        super().__init__(_phial.session_new(model._handle))

    def stream_complete(self, prompt: str, **options) -> Stream:
        """Goes on with `prompt` as it is, without a chat template."""
        return self._stream(self._handle.complete, _text(prompt), options)

    def stream_chat(self, messages: "Sequence[dict] | str", **options) -> Stream:
        """Answers messages {"role": ..., "content": ..., "images": [places in the option images]}; a text is a
        question of the user's."""
        if isinstance(messages, str):
            messages = [{"role": "user", "content": messages}]
            if options.get("images"):
                messages[0]["images"] = list(range(len(options["images"])))
        return self._stream(self._handle.chat, json.dumps(list(messages)), options)

    def complete(self, prompt: str, **options) -> str:
        return self.stream_complete(prompt, **options).result()

    def chat(self, messages: "Sequence[dict] | str", **options) -> str:
        return self.stream_chat(messages, **options).result()

    def generation(self) -> dict:
        """What the last call wrote, also if it was cancelled: text, ids, stop, counts of tokens, times."""
        return self._handle.generation()

    def _stream(self, call, text: str, options: dict) -> Stream:
        made, cancel = _generate_options(options)

        def work(on_text):
            call(text, made, on_text)
            return self._handle.generation()["text"]

        return Stream(self, work, cancel)


class Embedder(_Closing):
    """Texts to vectors. `path`: a Hugging Face folder of a BERT-like model."""

    def __init__(self, path: "str | os.PathLike", *, threads: int = 0, exact: bool = False, copy: bool = False):
        super().__init__(_phial.embedder_open(os.fspath(path), threads, exact, copy))

    @property
    def dimension(self) -> int:
        return self._handle.dimension()

    @property
    def max_tokens(self) -> int:
        return self._handle.max_tokens()

    def embed(self, texts: Sequence[str], *, cancel: Optional[Cancel] = None) -> list[list[float]]:
        """A vector of length 1 for each text."""
        stop = cancel or Cancel()
        given = [_text(text) for text in texts]
        return Stream(self, lambda _: self._handle.embed(given, stop._handle), stop).result()


class Library(_Closing):
    """A library of documents in one file, which is made if it is not there."""

    def __init__(self, path: "str | os.PathLike", embedder: Embedder, *, reader: "str | os.PathLike | None" = None):
        super().__init__(_phial.library_open(os.fspath(path), embedder._handle,
                                             None if reader is None else os.fspath(reader)))

    def info(self) -> dict:
        return self._handle.info()

    def add(self, *paths: "str | os.PathLike", include: Sequence[str] = (), exclude: Sequence[str] = (),
            hidden: bool = False, no_ignore_files: bool = False, no_ocr: bool = False, retry: bool = False,
            ocr_languages: Optional[str] = None, on_progress: Optional[Callable[[dict], Any]] = None,
            cancel: Optional[Cancel] = None) -> dict:
        """Brings the library into step with files and folders; tells how many were added, changed and so on, and the
        problems. `on_progress` is called on another thread, and stops the call if it returns something true."""
        stop = cancel or Cancel()

        def progress(told: dict) -> bool:
            return bool(on_progress(told) if on_progress else False) or stop.requested()

        given = [os.fspath(path) for path in paths]
        return Stream(self, lambda _: self._handle.add(given, list(include), list(exclude), hidden, no_ignore_files,
                                                       no_ocr, retry, ocr_languages, progress, stop._handle),
                      stop).result()

    def search(self, question: str, *, passages: int = 0, paths: Sequence[str] = (),
               cancel: Optional[Cancel] = None) -> list[dict]:
        """The passages that fit best, as citations."""
        options = _phial.AskOptions()
        options.passages = passages
        options.paths = list(paths)
        made, stop = _generate_options({"cancel": cancel})
        given = _text(question)
        return Stream(self, lambda _: json.loads(self._handle.search(given, options, made)), stop).result()

    def stream_ask(self, question: str, model: Optional[Model] = None, *, passages: int = 0, passage_tokens: int = 0,
                   explain: bool = False, paths: Sequence[str] = (), history: "Sequence[dict] | None" = None,
                   figures: int = 0, **options) -> Stream:
        """Answers from the documents with citations that were checked; without a model in the documents' own words. The
        result is the object that `phial ask --json` prints. A model that sees is shown at most so many figures: 0 is 1,
        below 0 none."""
        asked = _phial.AskOptions()
        asked.passages, asked.passage_tokens, asked.explain = passages, passage_tokens, int(explain)
        asked.figures = figures
        asked.paths = list(paths)
        asked.history_json = None if history is None else json.dumps(list(history))
        made, cancel = _generate_options(options)
        with_model = None if model is None else model._handle
        given = _text(question)
        return Stream(self, lambda on_text: json.loads(self._handle.ask(with_model, given, asked, made, on_text)), cancel)

    def ask(self, question: str, model: Optional[Model] = None, **options) -> dict:
        return self.stream_ask(question, model, **options).result()


def _text(text: str) -> str:
    if "\0" in text:
        raise ValueError("the text holds a zero character: leave it out")
    return text


def _generate_options(given: dict):
    """phial_generate_options of keyword arguments, and what cancels them."""
    options = _phial.GenerateOptions()
    cancel = given.pop("cancel", None) or Cancel()
    options.cancel = cancel._handle
    options.images = [image._handle for image in given.pop("images", ())]
    for name, value in given.items():
        if not hasattr(options, name):
            raise TypeError(f"there is no option {name!r}")
        setattr(options, name, list(value) if name == "stop" else value)
    return options, cancel
