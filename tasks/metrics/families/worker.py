"""What workers export: their engines and the hardware under them.

The steps of an embedding model count inputs as rows and their tokens as prefill; it has no cache.
"""

from tasks.metrics.family import counter, gauge, histogram

ENGINE_STEPS = counter("tokenmill_engine_steps_total", "Steps of the model.", "model")
ENGINE_STEP_SECONDS = histogram("tokenmill_engine_step_seconds", "How long a step took.", "model")
ENGINE_FIRST_TOKEN_SECONDS = histogram(
    "tokenmill_engine_first_token_seconds", "From a request's arrival to its first token.", "model"
)
ENGINE_INTER_TOKEN_SECONDS = histogram(
    "tokenmill_engine_inter_token_seconds", "From a token of an output to the next.", "model"
)
ENGINE_PREFILL_TOKENS = counter(
    "tokenmill_engine_prefill_tokens_total", "Tokens of prompts that were computed.", "model"
)
ENGINE_DECODE_TOKENS = counter(
    "tokenmill_engine_decode_tokens_total", "Tokens that were computed one a step.", "model"
)
ENGINE_ROWS = counter(
    "tokenmill_engine_rows_total",
    "Sequences that each step computed: over steps and slots, how full the batch is.",
    "model",
)
ENGINE_RUNNING_REQUESTS = gauge(
    "tokenmill_engine_running_requests", "Requests in the batch; of an embedding model, all.", "model"
)
ENGINE_WAITING_REQUESTS = gauge(
    "tokenmill_engine_waiting_requests",
    "Requests, or inputs to embed, that no step has taken yet.",
    "model",
)
ENGINE_SLOTS = gauge("tokenmill_engine_slots", "Requests that run at a time at most.", "model")
ENGINE_CACHE_TOKENS = gauge(
    "tokenmill_engine_cache_tokens",
    "Room for keys and values: all (capacity), what requests use (leased), what is kept (retained).",
    "model",
    "state",
)
ENGINE_CACHE_HIT_TOKENS = counter(
    "tokenmill_engine_cache_hit_tokens_total", "Tokens looked up that were found computed.", "model"
)
ENGINE_CACHE_LOOKUP_TOKENS = counter(
    "tokenmill_engine_cache_lookup_tokens_total", "Tokens that were looked up in the cache.", "model"
)
ENGINE_CACHE_EVICTIONS = counter(
    "tokenmill_engine_cache_evictions_total", "Kept prefixes that made way for others.", "model"
)
ENGINE_PREEMPTIONS = counter(
    "tokenmill_engine_preemptions_total", "Running requests that made way for others.", "model"
)
ENGINE_MEMORY_RETRIES = counter(
    "tokenmill_engine_memory_retries_total", "Steps made smaller for want of memory.", "model"
)

DEVICE_UTILIZATION = gauge(
    "tokenmill_device_utilization_ratio",
    "How busy a GPU is; of the CPU, how much of all cores this process uses.",
    "device",
)
DEVICE_MEMORY_USED = gauge(
    "tokenmill_device_memory_used_bytes",
    "A GPU's memory in use; of the CPU, what this process uses.",
    "device",
)
DEVICE_MEMORY_TOTAL = gauge("tokenmill_device_memory_total_bytes", "Memory there is.", "device")
DEVICE_POWER = gauge("tokenmill_device_power_watts", "Power that a GPU draws.", "device")
