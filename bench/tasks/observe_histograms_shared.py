"""The same histograms as a service with several workers needs them: in files that are mapped into memory."""

import os
import tempfile

_folder = tempfile.TemporaryDirectory(prefix="wakeful-bench-")
os.environ["PROMETHEUS_MULTIPROC_DIR"] = _folder.name  # read when prometheus_client is imported

from observe_histograms import work  # noqa: E402, F401
