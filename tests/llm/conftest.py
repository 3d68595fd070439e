"""The same small task, settings and LLM as the tests of generation have."""

from tests.generation.conftest import data, llm, make_job, settings, task, warm  # noqa: F401
