"""What a user writes: studies, tasks and watches, each one YAML file, parsed once here into frozen models.

Everything downstream reads typed attributes. Names of modes, classifiers and filters are checked against their
tables in ``planning.names``, because the tables live in rooms that come after this one.
"""

from tasks.config.classifier import EMBEDDED_CLASSIFIER, ClassifierConfig
from tasks.config.fields import Frozen
from tasks.config.generator import EMBEDDED_GENERATOR, GeneratorConfig, PriceConfig, misleading
from tasks.config.reading import parse, read_yaml, refuse_secrets
from tasks.config.study import ImportConfig, Study, StudyConfig, SubjectivityConfig, load_study
from tasks.config.task import Columns, FileSource, HubSource, Source, TaskConfig, TextColumns, WheelSource
from tasks.config.watch import ProviderConfig, WatchConfig, load_watch

__all__ = [
    "EMBEDDED_CLASSIFIER",
    "EMBEDDED_GENERATOR",
    "ClassifierConfig",
    "Columns",
    "FileSource",
    "Frozen",
    "GeneratorConfig",
    "HubSource",
    "ImportConfig",
    "PriceConfig",
    "ProviderConfig",
    "Source",
    "Study",
    "StudyConfig",
    "SubjectivityConfig",
    "TaskConfig",
    "TextColumns",
    "WatchConfig",
    "WheelSource",
    "load_study",
    "load_watch",
    "misleading",
    "parse",
    "read_yaml",
    "refuse_secrets",
]
