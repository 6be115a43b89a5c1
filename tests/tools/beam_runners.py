"""Runners of Apache Beam that go wrong, for test_cluster. Imported by the converter that is tested, by name."""

from apache_beam.runners.runner import PipelineResult, PipelineRunner, PipelineState


class Failing(PipelineRunner):
    """A cluster that breaks down."""

    def run_pipeline(self, pipeline, options):
        raise RuntimeError("no machine\nhas room")


class Elsewhere(PipelineRunner):
    """A cluster that writes where this machine does not see it."""

    def run_pipeline(self, pipeline, options):
        return Finished(PipelineState.DONE)


class Finished(PipelineResult):
    def wait_until_finish(self, duration=None):
        return self.state
