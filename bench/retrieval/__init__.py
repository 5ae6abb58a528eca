"""How well texts are found, against vectors of sentence-transformers and numpy. In an environment of its own, because
sentence-transformers cannot be installed beside us:

    python -m bench.retrieval.texts -c NAME texts.json           # of a collection: chunks, and its bookmarks as queries
    OTHER/bin/python bench/retrieval/reference_vectors.py MODEL_FOLDER texts.json vectors.npz
    mlxq eval -c NAME --limit 300 --json > eval.json
    python -m bench.retrieval.compare texts.json vectors.npz eval.json
"""
