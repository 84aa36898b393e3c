"""Random sentence encoders by seed, saved as sentence-transformers saves them, with tokenizers made on the spot; and
texts to embed. For check_models.py."""

import json
import math
import random
import unicodedata
from pathlib import Path

import sentence_transformers
import sentence_transformers.models
import tokenizers
import torch
import transformers

import check_tokenizers

KINDS = ("bert", "roberta", "xlm-roberta")
SENTENCES = ["The cat sat on the mat.", "Der Vertrag endet am 31. Dezember.", "Ça coûte combien, s'il vous plaît ?",
             "東京は日本の首都です。", "مرحبا بالعالم", "Москва — столица России", "हिन्दी में लिखा हुआ वाक्य", "שלום עולם",
             "naïve café façade", "3.14159 and 2,718", "user@example.org wrote: “quoted”", "🙂 emoji 👩‍👧 family"]


def texts(seed, count):
    """One a line, of every length from none to far beyond what an encoder reads."""
    rng = random.Random(seed)
    out = ["", " ", "a", *SENTENCES, " ".join(SENTENCES * 12), "word " * 700]
    while len(out) < count:
        text = check_tokenizers.random_text(rng, unicodedata.ucd_3_2_0)
        if rng.random() < 0.5:
            text = " ".join(rng.choice(SENTENCES) for _ in range(rng.randrange(1, 30)))
        out.append(text)
    return [t.replace("\n", " ").replace("\r", " ").replace("\x00", "") for t in out]


def byte_level_tokenizer(rng):
    """RoBERTa's: byte-level pairs, special tokens first."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=700, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator([rng.choice(SENTENCES) for _ in range(300)], trainer)
    tokenizer.post_processor = tokenizers.processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return tokenizer


def unigram_tokenizer(folder, rng):
    """XLM-R's: a unigram model behind SentencePiece's normaliser."""
    model = check_tokenizers.trained_sentencepiece(folder, "unigram", rng)
    spec = dict(check_tokenizers.xlm_r_json(model))["xlm-r"]
    spec["post_processor"] = {"type": "TemplateProcessing", "single": [
        {"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
        {"SpecialToken": {"id": "</s>", "type_id": 0}}], "pair": [{"Sequence": {"id": "A", "type_id": 0}},
                                                               {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]},
                           "</s>": {"id": "</s>", "ids": [2], "tokens": ["</s>"]}}}
    return tokenizers.Tokenizer.from_str(json.dumps(spec))


def make_tokenizer(kind, folder, rng, minilm):
    if kind == "bert":
        made = tokenizers.Tokenizer.from_file(str(minilm / "tokenizer.json"))
        made.no_truncation()
        made.no_padding()
        return transformers.PreTrainedTokenizerFast(tokenizer_object=made, cls_token="[CLS]", sep_token="[SEP]",
                                                    pad_token="[PAD]", unk_token="[UNK]", mask_token="[MASK]")
    made = byte_level_tokenizer(rng) if kind == "roberta" else unigram_tokenizer(folder, rng)
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", cls_token="<s>", eos_token="</s>",
                                                sep_token="</s>", pad_token="<pad>", unk_token="<unk>")


def draw_weights(model, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            if name.endswith("bias"):
                p.copy_(noise * 0.2)
            elif p.dim() == 1:
                p.copy_(1 + 0.2 * noise)
            else:
                p.copy_(noise if "embeddings" in name else noise * 1.2 / math.sqrt(p.shape[1]))


def random_encoder(seed, folder, minilm):
    """A folder that sentence-transformers wrote, and what it loads from there. None without MiniLM's vocabulary."""
    rng = random.Random(seed)
    kind = KINDS[seed % len(KINDS)]
    if kind == "bert" and not (minilm / "tokenizer.json").exists():
        return None
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = make_tokenizer(kind, folder, rng, minilm)
    heads = rng.choice([1, 2, 3, 4])
    hidden, positions = heads * rng.choice([6, 16, 20, 32]), rng.choice([40, 130, 514])
    padding = tokenizer.pad_token_id
    config = {"bert": transformers.BertConfig, "roberta": transformers.RobertaConfig,
              "xlm-roberta": transformers.XLMRobertaConfig}[kind](
        vocab_size=len(tokenizer), hidden_size=hidden, num_hidden_layers=rng.randrange(1, 4), num_attention_heads=heads,
        intermediate_size=rng.randrange(20, 200), max_position_embeddings=positions, type_vocab_size=2 if kind == "bert" else 1,
        layer_norm_eps=rng.choice([1e-12, 1e-5]), pad_token_id=padding, bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id)
    model = transformers.AutoModel.from_config(config).eval()
    draw_weights(model, seed)
    plain = folder / "plain"
    model.save_pretrained(plain)
    tokenizer.save_pretrained(plain)
    usable = positions - (0 if kind == "bert" else padding + 1)
    parts = sentence_transformers.models
    modules = [parts.Transformer(str(plain), max_seq_length=min(usable, rng.choice([24, 64, 512]))),
               parts.Pooling(hidden, pooling_mode=rng.choice(["mean", "cls"])), parts.Normalize()]
    made = folder / "made"
    sentence_transformers.SentenceTransformer(modules=modules, device="cpu").save(str(made))
    return f"encoder-{seed}-{kind} {hidden}/{config.intermediate_size}", made, open_encoder(made)


def open_encoder(folder: Path):
    return sentence_transformers.SentenceTransformer(str(folder), device="cpu")
