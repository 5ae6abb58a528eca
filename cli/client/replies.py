"""What the server says of models, in Ollama's words."""

import msgspec


class Details(msgspec.Struct, frozen=True):
    """parent_model: of an alias, the model that it stands for."""

    parent_model: str = ""
    family: str = ""
    parameter_size: str = ""
    quantization_level: str = ""


class Model(msgspec.Struct, frozen=True):
    """Of /api/tags and /api/ps. size: bytes; 0 if not known. The last three are of models in memory."""

    name: str
    modified_at: str = ""
    size: int = 0
    digest: str = ""
    details: Details = Details()
    expires_at: str = ""
    size_vram: int = 0
    context_length: int = 0


class Models(msgspec.Struct, frozen=True):
    models: tuple[Model, ...]


class Shown(msgspec.Struct, frozen=True):
    """Of /api/show. parameters: a line each, its name and its value."""

    model_info: dict[str, msgspec.Raw] = {}
    details: Details = Details()
    capabilities: tuple[str, ...] = ()
    license: str = ""
    modelfile: str = ""
    parameters: str = ""
    template: str = ""
    system: str = ""

    def info(self, name: str) -> str:
        """A value of model_info as text, whatever architecture its name begins with; empty if there is none."""
        for key, value in self.model_info.items():
            if key.rpartition(".")[2] == name:
                said = msgspec.json.decode(value)
                return said if isinstance(said, str) else msgspec.json.encode(said).decode()
        return ""
