"""Schemathesis over the OpenAPI document: whatever fits it, and what does not, is answered without a mistake of the server."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import hypothesis
import pytest
import schemathesis

from catalog.conftest import Publish, TestClient

type Bearer = Callable[..., dict[str, str]]


@pytest.mark.filterwarnings("ignore")  # the generator's own
def test_no_generated_request_finds_a_mistake_of_the_server(client: TestClient, publish: Publish, bearer: Bearer) -> None:
    publish()
    headers, wrong, asked = bearer("root@example.org"), [], 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        schema = schemathesis.openapi.from_asgi("/openapi.json", client.app)
        for result in schema.get_all_operations():
            operation = result.ok()

            @hypothesis.given(case=operation.as_strategy())
            @hypothesis.settings(
                max_examples=3, deadline=None, database=None, derandomize=True, suppress_health_check=list(hypothesis.HealthCheck)
            )
            def ask(case: schemathesis.Case) -> None:
                nonlocal asked
                asked += 1
                answer = case.call(headers=headers)
                if answer.status_code >= 500 and answer.status_code != 501:
                    wrong.append((case.method, case.formatted_path, answer.status_code))

            ask()
    assert wrong == []
    assert asked > 80
