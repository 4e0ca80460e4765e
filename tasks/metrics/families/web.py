"""What web processes export, at `/metrics`."""

from tasks.metrics.family import SECONDS_OF_A_REQUEST, counter, gauge, histogram

HTTP_REQUESTS = counter(
    "tokenmill_http_requests_total", "Requests that were answered.", "route", "method", "status"
)
HTTP_REQUEST_SECONDS = histogram(
    "tokenmill_http_request_seconds",
    "From a request to the end of its answer, a stream's too.",
    "route",
    bounds=SECONDS_OF_A_REQUEST,
)
HTTP_REQUESTS_RUNNING = gauge("tokenmill_http_requests_running", "Requests that are being answered.")
STREAMS_OPEN = gauge("tokenmill_streams_open", "Clients that follow a job's events.")
STREAM_FIRST_TOKEN_SECONDS = histogram(
    "tokenmill_stream_first_token_seconds",
    "From a request that streams its job to the first token sent.",
    "model",
    bounds=SECONDS_OF_A_REQUEST,
)
LIMIT_REFUSALS = counter(
    "tokenmill_limit_refusals_total",
    "Requests refused for want of room, by what was full.",
    "limit",
)
