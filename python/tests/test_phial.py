#!/usr/bin/env python3
"""Drives the installed package phial: test_phial.py TESTDATA [MODELS]."""

import json
import os
import signal
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

import phial

TESTDATA = Path(sys.argv[1])
MODELS = Path(sys.argv[2]) if len(sys.argv) > 2 else None
FIXTURE = TESTDATA / "golden/phi3-mini-like"


class Models(unittest.TestCase):
    def test_a_session_streams_what_it_writes(self):
        with phial.Model(FIXTURE, threads=2, context_tokens=100) as model, model.session() as session:
            whole = session.complete("The sea was", max_tokens=20, ignore_end=True)
            self.assertEqual("".join(session.stream_complete("The sea was", max_tokens=20, ignore_end=True)), whole)
            done = session.generation()
            self.assertEqual((done["text"], len(done["ids"]), done["stop"]), (whole, 20, "length"))
            self.assertEqual(model.info()["context_tokens"], 100)
            text = "Ça va, 世界?"
            self.assertEqual(model.detokenize(model.tokenize(text)), text)
            self.assertEqual(len(model.tokenize(text, bos=True)), len(model.tokenize(text)) + 1)
            self.assertTrue(session.chat("Hello", max_tokens=5, ignore_end=True))
            self.assertEqual(session.chat([{"role": "user", "content": "Hello"}], max_tokens=5, ignore_end=True),
                             session.chat("Hello", max_tokens=5, ignore_end=True))

    def test_a_later_run_goes_on_with_the_prompts_of_an_earlier_one(self):
        with tempfile.TemporaryDirectory() as folder:
            texts, reused = [], []
            for _ in range(2):
                with phial.Model(FIXTURE, prompt_cache=Path(folder) / "prompts.cache") as model, model.session() as session:
                    texts.append(session.complete("A letter from the sea, and what it said", max_tokens=8, ignore_end=True))
                    reused.append(session.generation()["reused_tokens"])
                    model.write_prompt_cache()
            self.assertEqual(texts[0], texts[1])
            self.assertEqual(reused[0], 0)
            self.assertGreater(reused[1], 0)

    def test_a_stream_that_is_left_leaves_the_session_as_a_fresh_one(self):
        with phial.Model(FIXTURE, threads=2) as model:
            wanted = model.session().complete("The sea was", max_tokens=40, ignore_end=True)
            session = model.session()
            with session.stream_complete("The sea was", max_tokens=40, ignore_end=True) as stream:
                self.assertTrue(wanted.startswith(next(stream)))
            self.assertEqual(session.complete("The sea was", max_tokens=40, ignore_end=True), wanted)

    def test_ctrl_c_and_cancel_stop_a_call(self):
        with phial.Model(FIXTURE, threads=1) as model, model.session() as session:
            wanted = session.complete("The sea was", max_tokens=20, ignore_end=True)

            def interrupt():
                time.sleep(0.2)
                os.kill(os.getpid(), signal.SIGINT)

            threading.Thread(target=interrupt).start()
            with self.assertRaises(KeyboardInterrupt):
                while True:
                    session.complete("A letter", max_tokens=40, ignore_end=True)
            self.assertEqual(session.complete("The sea was", max_tokens=20, ignore_end=True), wanted)
            cancel = phial.Cancel()
            cancel.request()
            with self.assertRaises(phial.Error) as raised:
                session.complete("The sea was", cancel=cancel)
            self.assertEqual(raised.exception.code, "cancelled")

    def test_several_threads_share_a_model(self):
        with phial.Model(FIXTURE, threads=2, sessions=3) as model:
            prompts = ["The sea was", "A letter", "One two", "x"]
            alone = [model.session().complete(p, max_tokens=12, ignore_end=True) for p in prompts]
            found = [None] * len(prompts)

            def write(at):
                found[at] = model.session().complete(prompts[at], max_tokens=12, ignore_end=True)

            threads = [threading.Thread(target=write, args=(at,)) for at in range(len(prompts))]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(found, alone)

    def test_errors_have_a_code_and_say_what_to_do(self):
        with self.assertRaises(phial.Error) as raised:
            phial.Model("/no/such/model.gguf")
        self.assertEqual(raised.exception.code, "not found")
        self.assertIn("/no/such/model.gguf", str(raised.exception))
        with phial.Model(FIXTURE) as model, model.session() as session:
            with self.assertRaises(TypeError):
                session.complete("x", max_token=3)
            with self.assertRaises(phial.Error) as raised:
                session.chat([{"role": "tool", "content": "x"}])
            self.assertEqual(raised.exception.code, "invalid")
            session.close()
            with self.assertRaises(phial.Error):
                session.complete("x")
        with self.assertRaises(ValueError):
            phial.Model(FIXTURE, kv="q5")
        with self.assertRaises(phial.Error):
            phial.Image(b"no picture")
        self.assertTrue(phial.Image(TESTDATA / "images/plain.png"))


@unittest.skipUnless(MODELS, "the default models are not in the tree: run scripts/models FOLDER and set PHIAL_MODELS=FOLDER")
class Documents(unittest.TestCase):
    def test_embeddings_are_those_of_the_reference(self):
        reference = json.loads((TESTDATA / "golden/real/all-minilm-l6-v2/expected.json").read_text())
        with phial.Embedder(MODELS / "all-MiniLM-L6-v2", exact=True) as embedder:
            rows = embedder.embed([one["text"] for one in reference["sentences"]])
            self.assertEqual({len(row) for row in rows}, {embedder.dimension})
            for row in rows:
                self.assertAlmostEqual(sum(x * x for x in row), 1, places=4)

    def test_a_library_is_filled_and_asked(self):
        with tempfile.TemporaryDirectory() as name, phial.Embedder(MODELS / "all-MiniLM-L6-v2") as embedder:
            steps = []
            with phial.Library(Path(name) / "library.db", embedder) as library:
                report = library.add(TESTDATA / "docs/md", on_progress=lambda told: steps.append(told["files_done"]))
                self.assertEqual((report["added"], report["problems"]), (2, []))
                self.assertTrue(steps)
                self.assertEqual(library.info()["documents"], 2)
                hits = library.search("How do I create an AUTOINCREMENT field?", passages=3)
                self.assertIn("sqlite-faq.md", hits[0]["path"])
                cancel = phial.Cancel()
                cancel.request()
                with self.assertRaises(phial.Error) as raised:
                    library.search("How do I create an AUTOINCREMENT field?", cancel=cancel)
                self.assertEqual(raised.exception.code, "cancelled")
                stream = library.stream_ask("How do I create an AUTOINCREMENT field?")
                text = "".join(stream)
                answer = stream.result()
                self.assertEqual(answer["answer"], text)
                self.assertTrue(answer["answerable"] and answer["citations"])
                with phial.Model(MODELS / "SmolLM2-135M-Instruct.Q4_1.gguf") as model:
                    answer = library.ask("How do I create an AUTOINCREMENT field?", model, max_tokens=60)
                    self.assertTrue(answer["model"])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
