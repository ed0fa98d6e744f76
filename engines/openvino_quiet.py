"""Keeps OpenVINO's telemetry out: importing openvino or nncf would report to a server with it."""

import sys

TELEMETRY = "openvino_telemetry"


def keep_telemetry_out() -> None:
    """Make the package one that cannot be imported; its users then take a stand-in of their own."""
    sys.modules.setdefault(TELEMETRY, None)  # type: ignore[arg-type]
