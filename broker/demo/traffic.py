"""The way to the broker that all workers of the demo share, and what went over it."""

import httpx


class Traffic(httpx.AsyncHTTPTransport):
    """``calls`` counts requests; ``lost`` those of which nobody knows whether they were carried out."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.lost = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.calls += 1
        try:
            response = await super().handle_async_request(request)
        except httpx.TransportError:
            self.lost += 1
            raise
        self.lost += response.status_code == 503
        return response
