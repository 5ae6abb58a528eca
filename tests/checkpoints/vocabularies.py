"""Small tokenizers of the five kinds that embedding models use, as their tokenizer.json spells them."""

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

_TEXT = (
    "the a an of and to in is it on for with as at by from red blue green old new small large quick slow warm cold "
    "fox dog cat bird horse river lake sea mountain forest city street house door window garden table book letter "
    "song music light shadow rain snow wind storm summer winter morning night day week year hour man woman child "
    "friend teacher doctor farmer sailor king queen runs sleeps jumps reads writes sings walks talks eats drinks "
    "finds loses opens closes builds breaks carries throws catches follows over under near far between through "
    "search query result title text none task document passage represent sentence retrieval instruct given"
)
WORDS = _TEXT.split()
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,:;!?'|-"


def _template(
    tokenizer: Tokenizer, before: list[str], after: list[str], pair: str | None = None
) -> processors.TemplateProcessing:
    """pair: two texts, as a template spells them; None: one behind the other."""
    specials = [(name, tokenizer.token_to_id(name)) for name in {*before, *after}]
    return processors.TemplateProcessing(
        single=[*before, "$A", *after], pair=pair or "$A:0 $B:1", special_tokens=sorted(specials)
    )


def word_piece() -> Tokenizer:
    """BERT: lower case, [CLS] text [SEP]."""
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = [*LETTERS, *(f"##{c}" for c in LETTERS), *(f"##{end}" for end in ("ing", "ed", "er", "s"))]
    vocab = {piece: i for i, piece in enumerate(dict.fromkeys([*specials, *pieces, *WORDS]))}
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(specials)
    tokenizer.post_processor = _template(tokenizer, ["[CLS]"], ["[SEP]"], "[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1")
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def unigram() -> Tokenizer:
    """XLM-RoBERTa: SentencePiece, <s> text </s>, padding is token 1."""
    specials = ["<s>", "<pad>", "</s>", "<unk>"]
    pieces = [f"▁{word}" for word in WORDS] + ["▁", *LETTERS, *LETTERS.upper()[:26], "ing", "er", "s"]
    scored = [(piece, -2.0 - 0.01 * i) for i, piece in enumerate(dict.fromkeys(pieces))]
    tokenizer = Tokenizer(models.Unigram([*((name, 0.0) for name in specials), *scored], unk_id=3))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.add_special_tokens(specials)
    tokenizer.post_processor = _template(tokenizer, ["<s>"], ["</s>"], "<s> $A </s> </s> $B </s>")
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


def byte_bpe(
    specials: list[str],
    before: list[str],
    after: list[str],
    pair: str | None = None,
    bare: tuple[str, ...] = (),
) -> Tokenizer:
    """ModernBERT ([CLS] text [SEP]) and Qwen3 (text <|endoftext|>): byte-level BPE.

    bare: words that are one token also without a space before them.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges: dict[tuple[str, str], str] = {}
    for word in [*(f"Ġ{word}" for word in WORDS), *bare]:
        for end in range(2, len(word) + 1):
            merges.setdefault((word[: end - 1], word[end - 1]), word[:end])
    tokens = dict.fromkeys([*specials, *alphabet, *merges.values()])
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, list(merges)))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in specials])
    tokenizer.post_processor = processors.Sequence(
        [processors.ByteLevel(trim_offsets=False), _template(tokenizer, before, after, pair)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def gemma_bpe() -> Tokenizer:
    """Gemma: spaces as ▁, BPE that falls back to bytes, <bos> text <eos>."""
    specials = ["<pad>", "<eos>", "<bos>", "<unk>"]
    byte_tokens = [f"<0x{value:02X}>" for value in range(256)]
    merges: dict[tuple[str, str], str] = {}
    for word in [f"▁{word}" for word in WORDS]:
        for end in range(2, len(word) + 1):
            merges.setdefault((word[: end - 1], word[end - 1]), word[:end])
    tokens = dict.fromkeys([*specials, *byte_tokens, "▁", *LETTERS, *merges.values()])
    model = models.BPE(
        {token: i for i, token in enumerate(tokens)}, list(merges), byte_fallback=True, unk_token="<unk>"
    )
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.add_special_tokens(specials)
    tokenizer.post_processor = _template(tokenizer, ["<bos>"], ["<eos>"])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    return tokenizer
