"""Reads /metrics as Prometheus does."""

import httpx
from prometheus_client.parser import text_string_to_metric_families


class Metrics:
    def __init__(self, text: str) -> None:
        self.families = list(text_string_to_metric_families(text))
        self.samples = [sample for family in self.families for sample in family.samples]

    @classmethod
    def of(cls, url: str, token: str = "", path: str = "/metrics") -> "Metrics":
        """Over a new connection, so that any process may be asked."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        response = httpx.get(f"{url}{path}", headers=headers, timeout=20, verify=False)
        assert response.status_code == 200, response.text
        assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        return cls(response.text)

    def __call__(self, name: str, **labels: object) -> float:
        """The value of one sample; 0 when it is not there yet."""
        wanted = {label: str(value) for label, value in labels.items()}
        return next((s.value for s in self.samples if (s.name, s.labels) == (f"broker_{name}", wanted)), 0)

    def has(self, **labels: object) -> bool:
        """Whether a sample has these labels, among others."""
        wanted = {label: str(value) for label, value in labels.items()}.items()
        return any(wanted <= sample.labels.items() for sample in self.samples)
