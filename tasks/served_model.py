"""A model that this worker process runs, with the runner of its jobs."""

import structlog

from inference.catalog import ModelSpec
from inference.encoder import Encoder
from inference.encoder_loader import load_encoder
from inference.engine import Engine
from inference.fatal import OnFatal
from inference.loader import load_model
from tasks.fingerprint import fingerprint
from tasks.metrics import engines
from tasks.queue import slice_queue_for
from tasks.runner import JobEngine, JobRunner
from tasks.settings import settings
from tasks.slice_consumer import SliceConsumer
from tasks.text_engine import TextEngine
from tasks.vector_engine import VectorEngine
from tasks.worker_identity import WorkerIdentity

log = structlog.get_logger(__name__)


class ServedModel:
    """Loaded, warmed up and registered when it has been made, so ready means ready.

    ``node`` is the worker's name among Celery's.
    """

    def __init__(self, spec: ModelSpec, on_fatal: OnFatal, node: str) -> None:
        log.info("loading model", action="model_loading", model=spec.name)
        self._model = spec.name
        self._engine: Engine | Encoder
        if spec.task == "embed":
            quantization, device, job_engine = self._start_encoder(spec, on_fatal)
        else:
            quantization, device, job_engine = self._start_engine(spec, on_fatal)
        log.info("model ready", action="model_ready", model=spec.name, quantization=quantization)
        engines.watch(spec.name, self._engine.stats)
        identity = WorkerIdentity(
            model=spec.name,
            quantization=quantization,
            slots=settings().worker_slots,
            device=device,
            system_fingerprint=fingerprint(spec, quantization),
        )
        self.runner = JobRunner(job_engine, identity, node)
        self.runner.start()
        self._slices = SliceConsumer(slice_queue_for(spec.name), self.runner, settings().worker_slots)
        self._slices.start()

    def close(self) -> None:
        self._slices.stop()
        self.runner.close()
        engines.unwatch(self._model)
        self._engine.stop()

    def _start_engine(self, spec: ModelSpec, on_fatal: OnFatal) -> tuple[str, str, JobEngine]:
        loaded = load_model(spec, settings().model_cache_dir)
        engine = Engine(
            loaded,
            slots=settings().worker_slots,
            max_batch_tokens=settings().worker_batch_tokens,
            step_timeout_seconds=settings().worker_step_timeout_seconds,
            kv_budget_bytes=settings().worker_kv_cache_bytes,
            on_fatal=on_fatal,
        )
        engine.start()
        self._engine = engine
        return loaded.quantization, str(loaded.device), TextEngine(engine)

    def _start_encoder(self, spec: ModelSpec, on_fatal: OnFatal) -> tuple[str, str, JobEngine]:
        loaded = load_encoder(spec, settings().model_cache_dir)
        encoder = Encoder(loaded, on_fatal=on_fatal)
        encoder.start()
        self._engine = encoder
        return loaded.quantization, str(loaded.device), VectorEngine(encoder)
